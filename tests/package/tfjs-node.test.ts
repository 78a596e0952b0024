/** `tensorkiln/tfjs-node`, compiled: images, files, TensorBoard, progress, and programs for tfjs-node that run unchanged. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { io } from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it, vi } from 'vitest';
import * as tf from '../../dist/tfjs-node/index.js';
import { shrink, withChannels } from '../../dist/tfjs-node/pixels.js';
import { shortNumber } from '../../dist/tfjs-node/progress-logger.js';
import { readEvents } from '../support/event-file.js';
import { ROOT, textOf } from '../support/files.js';
import { runModule } from '../support/run-module.js';

const folder = mkdtempSync(path.join(tmpdir(), 'tensorkiln-tfjs-node-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface ImageCase {
  readonly name: string;
  readonly file: string;
  readonly shape: number[];
  readonly pixels: number[];
  /** Largest difference: two decoders may round their inverse DCT and their upsampling of colours differently. */
  readonly tolerance?: number;
}

const { images } = JSON.parse(textOf('tests/fixtures/tfjs_node.json')) as { images: ImageCase[] };
const bytesOf = (name: string): Uint8Array => Uint8Array.from(Buffer.from(images.find((image) => image.name === name)!.file, 'base64')); // prettier-ignore

/** For fit; typed as nothing, since the typings want a member of an enumeration that exists in them only. */
const SILENT: object = { verbose: 0 };

/** The picture of tfjs-node's own image tests. */
const PICTURE = [238, 101, 0, 50, 50, 50, 100, 50, 0, 200, 100, 50];
const picture = (): tf.Tensor3D => tf.tensor3d(Uint8Array.from(PICTURE), [2, 2, 3], 'int32');

describe('decoding', () => {
  it.each(images.map((image) => [image.name, image] as const))(
    '%s: as Pillow does',
    (_, { file, shape, pixels, tolerance = 0 }) => {
      const before = tf.memory().numTensors;
      const tensor = tf.node.decodeImage(Uint8Array.from(Buffer.from(file, 'base64')));
      expect(tensor.dtype).toBe('int32');
      expect(tensor.shape).toEqual(shape);
      const found = tensor.dataSync();
      expect(Math.max(...pixels.map((value, index) => Math.abs(value - found[index]!)))).toBeLessThanOrEqual(tolerance);
      tensor.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('gives the channels asked for', async () => {
    const png = await tf.node.encodePng(picture());
    const channels = (count: number): number[] => [...tf.node.decodePng(png, count).dataSync()];
    expect(channels(0)).toEqual(PICTURE);
    expect(channels(3)).toEqual(PICTURE);
    // What tfjs-node's tests expect of the same pixels.
    expect(channels(1)).toEqual([130, 50, 59, 124]);
    expect(channels(4)).toEqual([238, 101, 0, 255, 50, 50, 50, 255, 100, 50, 0, 255, 200, 100, 50, 255]);
    expect(tf.node.decodeJpeg(bytesOf('jpeg 4:4:4'), 1).shape).toEqual([13, 17, 1]);
    expect(tf.node.decodeJpeg(bytesOf('jpeg grey'), 3).shape).toEqual([13, 17, 3]);
    expect(tf.node.decodeBmp(bytesOf('bmp of 24 bits'), 4).shape).toEqual([13, 17, 4]);
  });

  it('shrinks a JPEG by means', () => {
    const [full, half] = [1, 2].map((ratio) => tf.node.decodeJpeg(bytesOf('jpeg 4:4:4'), 0, ratio));
    expect(half!.shape).toEqual([7, 9, 3]);
    const corner = tf.mean(tf.slice(full!, [0, 0, 0], [2, 2, 1])).dataSync()[0]!;
    expect(half!.dataSync()[0]).toBe(Math.round(corner));
    expect(tf.node.decodeJpeg(bytesOf('jpeg 4:4:4'), 1, 8).shape).toEqual([2, 3, 1]);
  });

  it('gives frames or only the first', () => {
    const gif = bytesOf('gif of three frames');
    const all = tf.node.decodeGif(gif);
    const first = tf.node.decodeImage(gif, 3, 'int32', false);
    expect(all.shape).toEqual([3, 4, 6, 3]);
    expect(first.shape).toEqual([4, 6, 3]);
    expect([...first.dataSync()]).toEqual([...all.dataSync()].slice(0, 72));
  });

  it('takes the other formats that TensorFlow takes', () => {
    expect(tf.node.decodeJpeg(bytesOf('png RGB')).shape).toEqual([5, 7, 3]);
    expect(tf.node.decodePng(bytesOf('jpeg grey')).shape).toEqual([13, 17, 1]);
  });

  it('sees the bytes of a view, not of the buffer under it', () => {
    const png = bytesOf('png L');
    const wide = new Uint8Array(png.length + 20);
    wide.set(png, 9);
    expect(tf.node.decodePng(wide.subarray(9, 9 + png.length)).shape).toEqual([5, 7, 1]);
  });

  const text = new TextEncoder().encode('this is no image at all');
  it.each([
    ['no image', () => tf.node.decodeImage(text), 'Expected image (BMP, JPEG, PNG, or GIF), but got unsupported image type'],
    ['nothing', () => tf.node.decodeImage(new Uint8Array(0)), 'Expected image (BMP, JPEG, PNG, or GIF)'],
    ['another dtype', () => tf.node.decodeImage(bytesOf('png L'), 0, 'uint8'), 'decodeImage could only return Tensor of type `int32` for now.'], // prettier-ignore
    ['another dtype of PNG', () => tf.node.decodePng(bytesOf('png L'), 0, 'uint16'), 'only return Tensor of type `int32`'],
    ['two channels', () => tf.node.decodeImage(bytesOf('png L'), 2), '`channels` must be 0, 1, 3 or 4 for PNG, but got 2'],
    ['a JPEG with alpha', () => tf.node.decodeJpeg(bytesOf('jpeg grey'), 4), '`channels` must be 0, 1 or 3 for JPEG'],
    ['a grey GIF', () => tf.node.decodeImage(bytesOf('gif of three frames'), 1), '`channels` must be 0 or 3 for GIF'],
    ['a PNG as BMP', () => tf.node.decodeBmp(bytesOf('png L')), 'Trying to decode PNG format using decodeBmp'],
    ['a BMP as PNG', () => tf.node.decodePng(bytesOf('bmp of 24 bits')), 'Trying to decode BMP format using decodePng'],
    ['a ratio of 3', () => tf.node.decodeJpeg(bytesOf('jpeg grey'), 0, 3), 'ratio must be 1, 2, 4, or 8, got 3'],
    ['another DCT', () => tf.node.decodeJpeg(bytesOf('jpeg grey'), 0, 1, true, false, 1, 'FLOAT'), 'dct_method must be one of'],
    ['half a PNG', () => tf.node.decodePng(bytesOf('png RGB').subarray(0, 60)), 'Invalid PNG data, size 60'],
    ['half a JPEG', () => tf.node.decodeJpeg(bytesOf('jpeg 4:4:4').subarray(0, 700)), 'Invalid JPEG data, size 700'],
    ['half a BMP', () => tf.node.decodeBmp(bytesOf('bmp of 24 bits').subarray(0, 100)), 'Invalid BMP data: the pixels need'],
    ['a BMP of huge size', () => tf.node.decodeBmp(Uint8Array.from(bytesOf('bmp of 24 bits'), (byte, at) => (at === 20 || at === 24 ? 255 : byte))), 'Invalid BMP data'], // prettier-ignore
    ['a BMP of 16 bits', () => tf.node.decodeBmp(Uint8Array.from(bytesOf('bmp of 24 bits'), (byte, at) => (at === 28 ? 16 : byte))), 'got 16 bits, compression 0'], // prettier-ignore
    ['a colour outside a palette', () => tf.node.decodeBmp(Uint8Array.from(bytesOf('bmp with a palette'), (byte, at) => (at === 46 ? 2 : byte))), 'of a palette of 2'], // prettier-ignore
    ['a path', () => tf.node.decodeImage('cat.png' as unknown as Uint8Array), 'expected a Uint8Array with an encoded image'],
  ])('refuses %s', (_, decode, message) => {
    expect(decode).toThrow(message);
  });

  it('recovers what it can of a truncated JPEG when asked', () => {
    const half = bytesOf('jpeg 4:4:4').subarray(0, 700);
    const full = tf.node.decodeJpeg(bytesOf('jpeg 4:4:4')).dataSync();
    const recovered = tf.node.decodeJpeg(half, 0, 1, true, true);
    expect(recovered.shape).toEqual([13, 17, 3]);
    expect([...recovered.dataSync().slice(0, 12)]).toEqual([...full.slice(0, 12)]);
  });
});

describe('pixels', () => {
  const pixels = (channels: number, ...data: number[]): Parameters<typeof shrink>[0] => ({
    width: data.length / channels,
    height: 1,
    frames: 1,
    channels,
    data: Uint8Array.from(data),
  });

  it('change their channels', () => {
    expect([...withChannels(pixels(2, 10, 99), 4).data]).toEqual([10, 10, 10, 99]);
    expect([...withChannels(pixels(4, 200, 100, 50, 7), 2).data]).toEqual([124, 7]);
    expect([...withChannels(pixels(3, 194, 98, 47), 1).data]).toEqual([120]);
    expect([...withChannels(pixels(3, 194, 98, 47), 1, 0.5).data]).toEqual([121]);
    expect([...withChannels(pixels(1, 255), 3).data]).toEqual([255, 255, 255]);
  });

  it('shrink with what there is at the edge', () => {
    expect(shrink(pixels(1, 10, 21, 40), 2)).toMatchObject({ width: 2, height: 1, data: Uint8Array.of(16, 40) });
  });
});

describe('encoding', () => {
  it.each([1, 2, 3, 4])('PNG of %i channels comes back exactly', async (channels) => {
    const values = Uint8Array.from({ length: 6 * channels }, (_, i) => (i * 41) % 256);
    for (const compression of [-1, 0, 1, 9]) {
      const image = tf.tensor3d(values, [2, 3, channels], 'int32');
      const png = await tf.node.encodePng(image, compression);
      expect([...tf.node.decodePng(png).dataSync()]).toEqual([...values]);
    }
  });

  it('JPEG holds the densities, the XMP and the picture', async () => {
    const before = tf.memory().numTensors;
    const image = tf.fill<tf.Rank.R3>([16, 16, 3], 120, 'int32');
    const xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>';
    const jpeg = await tf.node.encodeJpeg(image, 'rgb', 90, true, true, false, 'cm', 500, 300, xmp);
    image.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const view = new DataView(jpeg.buffer, jpeg.byteOffset);
    expect([view.getUint8(13), view.getUint16(14), view.getUint16(16)]).toEqual([2, 500, 300]);
    expect(Buffer.from(jpeg).includes(xmp)).toBe(true);
    // A flat picture survives any quality but for rounding.
    expect(tf.node.decodeJpeg(jpeg).dataSync().every((value) => Math.abs(value - 120) <= 1)).toBe(true); // prettier-ignore
    const plain = await tf.node.encodeJpeg(tf.fill<tf.Rank.R3>([9, 9, 1], 30, 'int32'), 'grayscale');
    expect(new DataView(plain.buffer, plain.byteOffset).getUint8(13)).toBe(1);
    expect(tf.node.decodeJpeg(plain).shape).toEqual([9, 9, 1]);
    const [best, worst] = await Promise.all([100, 0].map((quality) => tf.node.encodeJpeg(picture(), '', quality)));
    expect(worst!.length).toBeLessThan(best!.length);
  });

  it('refuses what it cannot encode', async () => {
    const flat = tf.ones([2, 2]) as unknown as tf.Tensor3D;
    const grey = tf.ones<tf.Rank.R3>([2, 2, 1]);
    await expect(tf.node.encodePng(flat)).rejects.toThrow(
      'image must be 3-dimensional [height, width, channels], got shape [2,2]',
    );
    await expect(tf.node.encodeJpeg(tf.ones([2, 2, 4]))).rejects.toThrow('image must have 1 or 3 channels, got shape [2,2,4]');
    await expect(tf.node.encodePng(tf.ones([0, 2, 3]))).rejects.toThrow('has no pixels');
    await expect(tf.node.encodePng(grey, 10)).rejects.toThrow('compression must be in [-1,9], got 10');
    await expect(tf.node.encodeJpeg(grey, '', 101)).rejects.toThrow('quality must be in [0,100], got 101');
    await expect(tf.node.encodeJpeg(grey, 'rgb')).rejects.toThrow(`format is 'rgb': expected 3 channels, got 1 channels`);
    await expect(tf.node.encodeJpeg(grey, '', 90, false, false, true, 'm' as 'cm')).rejects.toThrow(`densityUnit must be 'in' or 'cm'`); // prettier-ignore
  });
});

function smallModel(): tf.Sequential {
  return tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [2], activation: 'relu' }), tf.layers.dense({ units: 1 })],
  });
}

describe('file://', () => {
  const at = (...parts: string[]): string => path.join(folder, ...parts);

  it('saves and loads a layers model with its optimizer, as tfjs-node writes it', async () => {
    const model = smallModel();
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError' });
    await model.fit(tf.ones([4, 2]), tf.zeros([4, 1]), SILENT);
    model.setUserDefinedMetadata({ kind: 'test' });
    const result = await model.save(`file://${at('new', 'model')}`, { includeOptimizer: true });
    expect(readdirSync(at('new', 'model')).sort()).toEqual(['model.json', 'weights.bin']);
    const json = JSON.parse(readFileSync(at('new', 'model', 'model.json'), 'utf8')) as io.ModelJSON;
    expect(json).toMatchObject({ format: 'layers-model', convertedBy: null, userDefinedMetadata: { kind: 'test' } });
    expect(json.generatedBy).toMatch(/^TensorFlow\.js tfjs-layers v4/);
    expect(json.weightsManifest.length).toBe(1);
    expect(json.weightsManifest[0]!.paths).toEqual(['weights.bin']);
    expect(result.modelArtifactsInfo.weightDataBytes).toBe(readFileSync(at('new', 'model', 'weights.bin')).length);
    const loaded = await tf.loadLayersModel(`file://${at('new', 'model', 'model.json')}`);
    const input = tf.tensor2d([[1, -2]]);
    expect([...(loaded.predict(input) as tf.Tensor).dataSync()]).toEqual([...(model.predict(input) as tf.Tensor).dataSync()]);
    expect(loaded.optimizer.getClassName()).toBe('Adam');
    // Saving once more into the same folder replaces the files.
    await loaded.save(tf.io.fileSystem(at('new', 'model')));
    expect(readdirSync(at('new', 'model')).sort()).toEqual(['model.json', 'weights.bin']);
  });

  it('loads weights in several files, in the order of the manifest', async () => {
    const artifacts = { modelTopology: { node: [] }, format: 'graph-model', weightsManifest: [
      { paths: ['a.bin', 'b.bin'], weights: [{ name: 'x', shape: [3], dtype: 'float32' }] },
      { paths: ['c.bin'], weights: [{ name: 'y', shape: [1], dtype: 'int32' }] },
    ] }; // prettier-ignore
    const bytes = Buffer.from(Float32Array.of(1, 2, 3).buffer);
    writeFileSync(at('a.bin'), bytes.subarray(0, 5));
    writeFileSync(at('b.bin'), bytes.subarray(5));
    writeFileSync(at('c.bin'), Buffer.from(Int32Array.of(7).buffer));
    writeFileSync(at('shards.json'), JSON.stringify(artifacts));
    const loaded = await tf.io.fileSystem(at('shards.json')).load();
    const weights = tf.io.decodeWeights(loaded.weightData!, loaded.weightSpecs!);
    expect([...weights['x']!.dataSync(), ...weights['y']!.dataSync()]).toEqual([1, 2, 3, 7]);

    writeFileSync(at('graph.pb'), 'bytes');
    writeFileSync(at('manifest.json'), JSON.stringify(artifacts.weightsManifest));
    const [handler] = tf.io.getLoadHandlers([`file://${at('graph.pb')}`, `file://${at('manifest.json')}`] as never);
    const binary = await handler!.load!();
    expect(Buffer.from(binary.modelTopology as ArrayBuffer).toString()).toBe('bytes');
    expect(binary.weightSpecs!.map(({ name }) => name)).toEqual(['x', 'y']);
  });

  it('keeps every key of a model and joins weights that come in parts', async () => {
    const parts = [Float32Array.of(1).buffer, Float32Array.of(2, 3).buffer];
    const saved = { modelTopology: { a: 1 }, weightSpecs: [{ name: 'w', shape: [3], dtype: 'float32' as const }], weightData: parts, signature: { s: 1 }, modelInitializer: { node: [] }, format: 'graph-model' }; // prettier-ignore
    await tf.io.fileSystem(at('parts')).save(saved);
    const loaded = await tf.io.fileSystem(at('parts', 'model.json')).load();
    expect(loaded).toMatchObject({ signature: { s: 1 }, modelInitializer: { node: [] }, format: 'graph-model' });
    expect([...new Float32Array(loaded.weightData as ArrayBuffer)]).toEqual([1, 2, 3]);
  });

  it('leaves other addresses to other handlers', () => {
    expect(tf.io.getLoadHandlers('ftp://x')).toEqual([]);
    expect(tf.io.getSaveHandlers(`file://${folder}`).length).toBe(1);
  });

  it('says what is wrong', async () => {
    writeFileSync(at('a-file'), '');
    writeFileSync(at('broken.json'), '{');
    const manifest = (name: string): string => JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: [name], weights: [] }] }); // prettier-ignore
    writeFileSync(at('missing.json'), manifest('nowhere.bin'));
    writeFileSync(at('outside.json'), manifest('../../../etc/hostname'));
    const load = (...names: string[]): Promise<unknown> => tf.io.fileSystem(names.length === 1 ? at(names[0]!) : names.map((name) => at(name))).load(); // prettier-ignore
    await expect(load('none.json')).rejects.toThrow(/Path .*none\.json does not exist: loading failed/);
    await expect(load('.')).rejects.toThrow('The path to load from must be a file. Loading from a directory is not supported.');
    await expect(load('broken.json')).rejects.toMatchObject({ code: 'E_DATA' });
    await expect(load('missing.json')).rejects.toThrow(/Weight file .*nowhere\.bin does not exist/);
    await expect(load('outside.json')).rejects.toThrow('names a weight file outside its folder');
    await expect(load('none.pb', 'missing.json')).rejects.toThrow(/Topology Path .* does not exist/);
    await expect(load('a-file', 'none.json')).rejects.toThrow(/Weight Manifest Path .* does not exist/);
    await expect(smallModel().save(`file://${at('a-file')}`)).rejects.toThrow(
      /exists as a file\. The path must be nonexistent/,
    );
    await expect(tf.io.fileSystem([at('x'), at('y')]).save({})).rejects.toThrow('Cannot perform saving to multiple paths.');
    await expect(tf.io.fileSystem(at('x')).save({ modelTopology: new ArrayBuffer(1) })).rejects.toThrow('binary format');
    expect(() => tf.io.fileSystem(['a', 'b', 'c'])).toThrow('file paths must have a length of 2, (actual length is 3).');
  });

  it('loads over HTTP by nodeHTTPRequest', async () => {
    const model = smallModel();
    await model.save(`file://${at('served')}`);
    const server = createServer((request, response) => {
      const isJson = request.url!.endsWith('.json');
      response.setHeader('content-type', isJson ? 'application/json' : 'application/octet-stream');
      response.end(readFileSync(at('served', path.basename(request.url!))));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const loaded = await tf.loadLayersModel(tf.io.nodeHTTPRequest(`http://127.0.0.1:${String(port)}/model.json`));
    server.closeAllConnections();
    server.close();
    expect(loaded.countParams()).toBe(model.countParams());
  });
});

describe('TensorBoard', () => {
  it('gets scalars and histograms from summaryFileWriter, one file per folder', () => {
    const logdir = path.join(folder, 'summary');
    const writer = tf.node.summaryFileWriter(logdir);
    expect(tf.node.summaryFileWriter(logdir)).toBe(writer);
    writer.scalar('a', 1.5, 3);
    writer.scalar('b', tf.scalar(2), 4);
    writer.histogram('h', tf.tensor1d([1, 2, 3, 4, 5], 'int32'), 5, 4, 'text');
    writer.flush();
    const [, a, b, h] = readEvents(logdir);
    expect(a).toMatchObject({ tag: 'a', step: 3, scalar: 1.5 });
    expect(b).toMatchObject({ tag: 'b', step: 4, scalar: 2 });
    expect(h).toMatchObject({ tag: 'h', step: 5, shape: [4, 3], description: 'text' });
    expect(() => tf.node.summaryFileWriter('')).toThrow('Invalid logdir: . Expected a non-empty string for logdir.');
    expect(() => writer.scalar('a', 1, 1.5)).toThrow('step is expected to be an integer, but is instead 1.5');
    expect(() => writer.scalar('a', tf.ones([1]) as unknown as tf.Scalar, 1)).toThrow('A non-scalar tensor (rank 1) is passed');
    expect(() => writer.scalar('a', 1, 1, 'why')).toThrow('scalar() does not support description yet');
    expect(() => writer.histogram('h', tf.ones([1]), 0, 0)).toThrow('Expected bucket count to be a strictly positive integer');
  });

  it.each(['epoch', 'batch'] as const)('gets what the callback sees, by %s', async (updateFreq) => {
    const logdir = path.join(folder, `fit-${updateFreq}`);
    const model = smallModel();
    model.compile({ loss: 'meanSquaredError', optimizer: 'sgd', metrics: ['mae'] });
    const [xs, ys] = [tf.ones([8, 2]), tf.zeros([8, 1])];
    const callbacks = tf.node.tensorBoard(logdir, { updateFreq, histogramFreq: 2 });
    const { history } = await model.fit(xs, ys, { epochs: 2, batchSize: 4, ...SILENT, validationData: [xs, ys], callbacks });
    const train = readEvents(path.join(logdir, 'train'));
    const scalars = (tag: string): number[] => train.filter((event) => event.tag === tag).map(({ scalar }) => scalar!);
    expect(scalars('epoch_loss')).toEqual(history['loss']!.map((value) => Math.fround(value as number)));
    expect(scalars('epoch_mae').length).toBe(2);
    expect(scalars('batch_loss').length).toBe(updateFreq === 'batch' ? 4 : 0);
    const validation = readEvents(path.join(logdir, 'val')).filter(({ tag }) => tag === 'epoch_loss');
    expect(validation.map(({ step }) => step)).toEqual([1, 2]);
    // Weights at epochs 0, 2, ...: two layers of a kernel and a bias.
    expect(train.filter(({ plugin }) => plugin === 'histograms').length).toBe(4);
  });

  it('refuses wrong options', () => {
    const options =
      (args: object): (() => unknown) =>
      () =>
        tf.node.tensorBoard(folder, args);
    expect(options({ updateFreq: 'often' })).toThrow(`Expected updateFreq to be 'batch' or 'epoch', but got often`);
    expect(options({ histogramFreq: -1 })).toThrow('Expected histogramFreq to be a positive integer, but got -1');
  });
});

describe('progress of fit', () => {
  it('is a line before and after each epoch, unless verbose is 0', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const model = smallModel();
    model.compile({ loss: 'meanSquaredError', optimizer: 'sgd' });
    await model.fit(tf.ones([4, 2]), tf.ones([4, 1]), { epochs: 2, ...SILENT });
    const silent = write.mock.calls.length;
    await model.fit(tf.ones([4, 2]), tf.ones([4, 1]), { epochs: 2 });
    const lines = write.mock.calls.map(([text]) => String(text));
    write.mockRestore();
    expect(silent).toBe(0);
    expect(lines.filter((_, index) => index % 2 === 0)).toEqual(['Epoch 1 / 2\n', 'Epoch 2 / 2\n']);
    expect(lines[1]).toMatch(/^\d+ms \d+us\/step - loss=\S+ \n$/);
  });

  it('shows numbers shortly', () => {
    expect([0, 2.345, -1234.5, 0.5, 0.0123, 0.00001234, NaN].map(shortNumber)).toEqual(['0.00', '2.35', '-1234.50', '0.500', '0.0123', '1.23e-5', 'NaN']); // prettier-ignore
  });
});

describe('SavedModel', () => {
  it('is refused with the name of the converter', async () => {
    for (const refused of [tf.node.loadSavedModel('/m'), tf.node.getMetaGraphsFromSavedModel('/m')]) {
      await expect(refused).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('tensorflowjs_converter') }); // prettier-ignore
    }
    expect(tf.node.getNumOfSavedModels()).toBe(0);
  });
});

describe('an unchanged program', () => {
  const run = promisify(execFile);
  /** Programs lie where tfjs is found and tfjs-node is not, as in a project of tensorkiln's users. */
  const programs = path.join(ROOT, 'build', `programs-${String(process.pid)}`);
  mkdirSync(programs, { recursive: true });
  afterAll(() => rmSync(programs, { recursive: true, force: true }));

  async function program(name: string, source: string, ...options: string[]): Promise<{ stdout: string; stderr: string }> {
    const file = path.join(programs, name);
    writeFileSync(file, source);
    return run(process.execPath, [...options, file], { cwd: ROOT });
  }

  const register = `--import=${new URL('../../dist/tfjs-node/register.js', import.meta.url).href}`;

  it('is found by require and import under the package name', async () => {
    const { stdout, stderr } = await program('by-name.cjs', `const tf = require('tensorkiln/tfjs-node'); console.log(tf.getBackend(), tf.add(1, 2).dataSync()[0]);`); // prettier-ignore
    expect({ stdout, stderr }).toEqual({ stdout: 'tensorkiln-cpu 3\n', stderr: '' });
  });

  it('in CommonJS runs as it is', async () => {
    const source = `
      const tf = require('@tensorflow/tfjs');
      require('@tensorflow/tfjs-node');
      const gpu = require('@tensorflow/tfjs-node-gpu');
      tf.setBackend('tensorflow');
      const png = Buffer.from('${Buffer.from(bytesOf('png L')).toString('base64')}', 'base64');
      console.log(tf.getBackend(), gpu.node === tf.node, tf.node.decodeImage(png).shape.join(), tf.version['tfjs-node']);`;
    const { stdout, stderr } = await program('program.cjs', source, register);
    expect({ stdout, stderr }).toEqual({ stdout: 'tensorflow true 5,7,1 4.22.0\n', stderr: '' });
  });

  it('in an ES module runs as it is', async () => {
    const source = `
      import tf from '@tensorflow/tfjs-node';
      import * as all from '@tensorflow/tfjs-node-gpu';
      import { sequential } from '@tensorflow/tfjs';
      console.log(tf.getBackend(), all.node === tf.node, sequential === tf.sequential);
      await import('@tensorflow/tfjs-nowhere').catch((error) => console.log(error.code));`;
    const { stdout, stderr } = await program('program.mjs', source, register);
    expect({ stdout, stderr }).toEqual({ stdout: 'tensorkiln-cpu true true\nERR_MODULE_NOT_FOUND\n', stderr: '' });
  });

  it('ends by itself after decoding an image, and writes what the event file still holds', async () => {
    const logdir = path.join(folder, 'exit');
    const { code, stdout } = await runModule(`
      import * as tf from './dist/tfjs-node/index.js';
      tf.node.summaryFileWriter(${JSON.stringify(logdir)}).scalar('x', 1, 0);
      console.log(tf.node.decodePng(Buffer.from('${Buffer.from(bytesOf('png L')).toString('base64')}', 'base64')).shape.join());`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '5,7,1\n' });
    expect(readEvents(logdir).map(({ tag }) => tag)).toEqual([undefined, 'x']);
  });
});
