import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { OURS } from '../support/differential/check.js';
import { allSpecs, WITHOUT_CASES, WITHOUT_GRADIENT } from '../support/differential/specs/index.js';
import { REFERENCE64 } from '../support/reference64/backend.js';

const kernelsOf = (backend: string): string[] => tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName);
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
const isDifferentiable = (name: string): boolean => (tf.getGradient(name) as unknown) !== undefined;

describe('random calls cover', () => {
  it('every kernel of our backend, or say why not', () => {
    const named = [...allSpecs.map(({ kernel }) => kernel), ...Object.keys(WITHOUT_CASES)];
    expect(sorted(named)).toEqual(sorted(kernelsOf(OURS)));
  });

  it('every gradient, or say why not', () => {
    const judged = allSpecs.filter(({ gradient }) => gradient !== undefined).map(({ kernel }) => kernel);
    const differentiable = kernelsOf(OURS).filter(isDifferentiable);
    expect(differentiable.length).toBeGreaterThanOrEqual(95);
    expect(differentiable.filter((name) => !judged.includes(name) && !(name in WITHOUT_GRADIENT))).toEqual([]);
  });

  it('every differentiable kernel with a reference', () => {
    const reference = new Set(kernelsOf(REFERENCE64));
    expect(kernelsOf(OURS).filter((name) => isDifferentiable(name) && !reference.has(name))).toEqual([]);
  });

  it('no kernel with a reason that has cases after all', () => {
    const named = new Set(allSpecs.map(({ kernel }) => kernel));
    expect(Object.keys(WITHOUT_CASES).filter((name) => named.has(name))).toEqual([]);
  });
});
