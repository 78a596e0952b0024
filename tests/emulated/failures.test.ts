/** What goes wrong with a GPU, in the emulator: each program is a process of its own, as a lost device is lost for good. */
import { describe, expect, it } from 'vitest';
import { runModule } from '../support/run-module.js';

const CUDA = { TENSORKILN_DEVICE: 'cuda', TENSORKILN_CUDA: 'emulated' };

const START = `
  import * as tf from '@tensorflow/tfjs-core';
  import * as tensorkiln from './dist/index.js';
  const print = (value) => console.log(JSON.stringify(value));
  const report = (error) => print({ code: error.code, message: error.message });
`;

async function linesOf(program: string, env: Record<string, string> = {}): Promise<unknown[]> {
  const { code, stdout, stderr } = await runModule(START + program, { ...CUDA, TENSORKILN_EMULATOR: 'quiet', ...env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

describe('a device that is lost in the middle of a step', () => {
  const step = `
    await tf.setBackend('tensorkiln-cpu');
    const onCpu = tf.tensor1d([1, 2, 3]);
    await tf.setBackend('tensorkiln-cuda');
    const w = tf.variable(tf.zeros([4, 3]));
    const loss = () => tf.mean(tf.square(tf.sub(tf.matMul(tf.ones([2, 4]), w), 1)));
    const optimizer = tf.train.sgd(0.1);
    let steps = 0;
    for (; steps < 100; ++steps) {
      try { tf.tidy(() => optimizer.minimize(loss, true).dataSync()); } catch (error) { report(error); break; }
    }
    print(steps);
    try { w.dataSync(); } catch (error) { report(error); }
    await tf.setBackend('tensorkiln-cpu');
    print([...tf.mul(onCpu, 2).dataSync()]);
  `;
  it('is reported at once and from then on, and tensors of the CPU live on', async () => {
    const lost = { code: 'E_DEVICE_LOST', message: expect.stringContaining('[cuda:0] the device is lost') as string };
    const [first, steps, again, cpu] = await linesOf(step, { TENSORKILN_EMULATOR: 'quiet lose=60' });
    expect(first).toEqual(lost);
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(100);
    expect(again).toEqual(lost);
    expect(cpu).toEqual([2, 4, 6]);
  });
});

describe('device memory that runs out in the middle of a step', () => {
  it('names op and shape, leaves tensors readable, and comes back', async () => {
    const [error, value, before, after, again] = await linesOf(
      `
      const x = tf.fill([256, 1024], 2);
      x.dataSync();
      const before = tf.backend().memory?.().numBytes ?? tf.memory().numBytes;
      const kept = [];
      try { for (let i = 0; i < 100; ++i) kept.push(tf.add(x, i)); } catch (error) { report(error); }
      print(x.dataSync()[1000]);
      tf.dispose(kept);
      const after = tf.backend().memory?.().numBytes ?? tf.memory().numBytes;
      print(before);
      print(after);
      print(tf.sum(tf.add(x, 1)).dataSync()[0]);
    `,
      { TENSORKILN_CUDA_MEMORY_LIMIT: '16M' },
    );
    expect(error).toMatchObject({ code: 'E_OUT_OF_MEMORY' });
    expect((error as { message: string }).message).toMatch(/add.*256/);
    expect(value).toBe(2);
    expect(after).toBe(before);
    expect(again).toBe(3 * 256 * 1024);
  });
});

describe('tensors of two devices', () => {
  it('meet on the current one, and each stays readable', async () => {
    const [sum, first] = await linesOf(`
      await tf.setBackend('tensorkiln-cpu');
      const a = tf.tensor1d([1, 2]);
      a.dataSync();
      await tf.setBackend('tensorkiln-cuda');
      const b = tf.tensor1d([10, 20]);
      print([...tf.add(a, b).dataSync()]);
      print([...a.dataSync()]);
    `);
    expect(sum).toEqual([11, 22]);
    expect(first).toEqual([1, 2]);
  });
});

describe('two GPUs', () => {
  const two = 'quiet devices=2';
  it('are chosen by their numbers', async () => {
    const values = await linesOf(
      `
      import { selectDevice } from './dist/run/select-device.js';
      print(tf.add(1, 2).dataSync()[0]);
      const [a, b] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])];
      const kept = [...tf.mul(a, b).dataSync()];
      await selectDevice('cuda:0');
      print([...tf.add(tf.tensor1d(kept), tf.tensor1d([10, 20])).dataSync()]);
      await selectDevice('cuda:1');
      print([...tf.matMul(tf.ones([2, 3]), tf.ones([3, 1])).dataSync()]);
    `,
      { TENSORKILN_DEVICE: 'cuda:1', TENSORKILN_EMULATOR: two },
    );
    expect(values).toEqual([3, [13, 28], [3, 3]]);
  });

  it('one that is lost does not take the other with it', async () => {
    const [lost, sum] = await linesOf(
      `
      import { selectDevice } from './dist/run/select-device.js';
      try { for (let i = 0; i < 100; ++i) tf.tidy(() => tf.add(i, 1).dataSync()); } catch (error) { report(error); }
      await selectDevice('cuda:1');
      print([...tf.add([1, 2], [10, 20]).dataSync()]);
    `,
      { TENSORKILN_EMULATOR: `${two} lose=20` },
    );
    expect(lost).toMatchObject({
      code: 'E_DEVICE_LOST',
      message: expect.stringContaining('[cuda:0] the device is lost') as string,
    });
    expect(sum).toEqual([11, 22]);
  });

  it('a third is not there', async () => {
    const [error] = await linesOf(`try { tf.add(1, 1).dataSync(); } catch (error) { report(error); }`, {
      TENSORKILN_DEVICE: 'cuda:2',
      TENSORKILN_EMULATOR: two,
    });
    expect(error).toMatchObject({
      code: 'E_DEVICE',
      message: expect.stringMatching(/there is no GPU number 2: expected 0 to 1/) as string,
    });
  });
});

describe('settings', () => {
  const use = `try { print(tf.add(1, 1).dataSync()[0]); } catch (error) { report(error); }`;
  it.each([
    ['TENSORKILN_CUDA', 'simulated', 'E_CONFIG', /TENSORKILN_CUDA\].*'emulated'.*'simulated'/],
    ['TENSORKILN_TF32', 'yes', 'E_DEVICE', /TENSORKILN_TF32 is 'yes': expected 1 .* or 0/],
    ['TENSORKILN_CUDA_ATTENTION', 'flash', 'E_DEVICE', /TENSORKILN_CUDA_ATTENTION is 'flash': expected tiles, hopper/],
    ['TENSORKILN_DEVICE', 'cuda:3', 'E_DEVICE', /there is no GPU number 3: expected 0 to 0/],
  ])('%s=%s is refused at the first use', async (name, value, code, message) => {
    const [error] = await linesOf(use, { [name]: value });
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('TENSORKILN_TF32=1 is taken', async () => {
    expect(await linesOf(use, { TENSORKILN_TF32: '1' })).toEqual([2]);
  });
});
