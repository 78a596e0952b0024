/** docs/from-tfjs-node.md names every export of tfjs-node, and `tensorkiln/tfjs-node` has what the page says it has. */
import * as core from '@tensorflow/tfjs-core';
import * as converter from '@tensorflow/tfjs-converter';
import * as data from '@tensorflow/tfjs-data';
import * as layers from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import * as tf from '../../dist/tfjs-node/index.js';
import { textOf } from '../support/files.js';

interface Names {
  readonly version: string;
  readonly exports: Readonly<Record<string, readonly string[]>>;
  readonly node: readonly string[];
  readonly io: readonly string[];
}

// Made by tests/fixtures/make_tfjs_node_names.mjs from the published package.
const names = JSON.parse(textOf('tests/fixtures/tfjs_node_names.json')) as Names;
const page = textOf('docs/from-tfjs-node.md');
const ours = tf as unknown as Readonly<Record<string, unknown>>;
const LEFT_OUT = ['tfjs-backend-cpu', 'tfjs-backend-webgl'];

/** Names in the paragraph of a package. */
function listed(packageName: string): string[] {
  const paragraph = new RegExp(`^@tensorflow/${packageName}: (.*)$`, 'm').exec(page)?.[1] ?? '';
  return [...paragraph.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
}

describe('docs/from-tfjs-node.md', () => {
  it.each(Object.keys(names.exports).filter((name) => name !== 'tfjs' && name !== 'tfjs-node'))(
    'lists the exports of %s',
    (name) => {
      expect(listed(name)).toEqual(names.exports[name]);
      expect(listed(name).length).toBeGreaterThan(0);
    },
  );

  it('has a row for each function of tf.node and tf.io, and for tf.data and tf.version', () => {
    const wanted = [
      ...names.node.map((name) => `tf.node.${name}`),
      ...names.io.map((name) => `tf.io.${name}`),
      ...names.exports['tfjs']!.map((name) => `tf.${name}`),
      ...names.exports['tfjs-node']!.map((name) => `tf.${name}`),
    ];
    expect(wanted.length).toBeGreaterThan(15);
    expect(wanted.filter((name) => !page.includes(`| \`${name}\``))).toEqual([]);
  });

  it('names the release', () => {
    expect(page).toContain(`@tensorflow/tfjs-node\` ${names.version}`);
    expect(tf.version['tfjs-node']).toBe(names.version);
  });
});

describe('tensorkiln/tfjs-node', () => {
  const promised = Object.entries(names.exports)
    .filter(([name]) => !LEFT_OUT.includes(name))
    .flatMap(([, list]) => list);

  it('exports every name that the page does not leave out, and no other', () => {
    expect(promised.filter((name) => ours[name] === undefined)).toEqual([]);
    expect(Object.keys(ours).filter((name) => !promised.includes(name))).toEqual(['default']);
    expect(Object.keys(tf.node).sort()).toEqual(names.node);
    expect(names.io.filter((name) => !(name in tf.io))).toEqual([]);
    expect(LEFT_OUT.flatMap((name) => names.exports[name]!).filter((name) => name in ours)).toEqual([]);
  });

  it('exports the loaded copies', () => {
    const parts = { ...core, ...layers, ...converter } as Record<string, unknown>;
    const replaced = Object.keys(parts).filter((name) => name !== 'default' && ours[name] !== parts[name]);
    expect(replaced).toEqual(['io']);
    expect(tf.data.csv).toBe(data.csv);
    expect(Object.entries(core.io).filter(([name, value]) => Reflect.get(tf.io, name) !== value)).toEqual([]);
    const { default: all } = tf;
    expect(all.node).toBe(tf.node);
  });
});
