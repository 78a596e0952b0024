/** Recurrent layers over whole sequences. */
import type * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { gru, lstm, rnn } from '../../../../ts/backend/custom/index.js';
import { randomSource } from '../../describe-model.js';
import { at, build, type Dense } from '../../reference64/dense.js';
import { bool, float, int, seed } from '../arbitraries.js';
import type { KernelCase } from '../cases.js';
import { fusedSpec, given, inputOf, type FusedSpec } from './spec.js';

interface SequenceAttrs {
  readonly isReverse: boolean;
  readonly maskedOutput: 'zero' | 'hold';
  readonly returnSequences: boolean;
}

type Name = 'x' | 'kernel' | 'recurrentKernel';
type Optional = 'bias' | 'initialState' | 'initialCell' | 'mask' | 'lengths';
type Inputs<Tensor> = Readonly<Record<Name, Tensor> & Partial<Record<Optional, Tensor>>>;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The state of one row after a step: the output, and for LSTM the cell. */
interface State {
  readonly h: readonly number[];
  readonly c: readonly number[];
}

/** input W, element by element. */
const times = (input: readonly number[], w: Dense): number[] =>
  Array.from({ length: w.shape[1]! }, (_, column) => input.reduce((sum, value, i) => sum + value * at(w, i, column), 0));

const rowOf = (x: Dense | undefined, row: number, width: number): number[] =>
  Array.from({ length: width }, (_, i) => x?.values[row * width + i] ?? 0);

/** y, h and c of a layer whose step is given. */
function runSteps(
  inputs: Inputs<Dense>,
  { isReverse, maskedOutput, returnSequences }: SequenceAttrs,
  step: (x: readonly number[], before: State) => State,
): { y: Dense[]; h: Dense; c: Dense } {
  const { x, recurrentKernel, mask, lengths, initialState, initialCell } = inputs;
  const [batch, steps, width] = x.shape as [number, number, number];
  const hidden = recurrentKernel.shape[0]!;
  const y = build([batch, steps, hidden], 'float32', () => 0);
  const last: State[] = [];
  for (let b = 0; b < batch; ++b) {
    let state: State = { h: rowOf(initialState, b, hidden), c: rowOf(initialCell, b, hidden) };
    for (let turn = 0; turn < steps; ++turn) {
      const t = isReverse ? steps - 1 - turn : turn;
      const counts = (mask === undefined || at(mask, b, t) !== 0) && (lengths === undefined || t < at(lengths, b));
      if (counts) state = step(rowOf(x, b * steps + t, width), state);
      if (counts || maskedOutput === 'hold') state.h.forEach((value, i) => (y.values[(b * steps + t) * hidden + i] = value));
    }
    last.push(state);
  }
  const final = (key: keyof State): Dense => build([batch, hidden], 'float32', ([b, i]) => last[b!]![key][i!]!);
  return { y: returnSequences ? [y] : [], h: final('h'), c: final('c') };
}

/** Gate `number` of a row of all gates. */
const gate = (all: readonly number[], number: number, hidden: number): number[] =>
  all.slice(number * hidden, (number + 1) * hidden);

function judgeLstm(inputs: Inputs<Dense>, attrs: SequenceAttrs): Dense[] {
  const { kernel, recurrentKernel, bias } = inputs;
  const hidden = recurrentKernel.shape[0]!;
  const { y, h, c } = runSteps(inputs, attrs, (x, before) => {
    const fromState = times(before.h, recurrentKernel);
    const all = times(x, kernel).map((value, i) => value + fromState[i]! + (bias?.values[i] ?? 0));
    const [i, f, g, o] = [0, 1, 2, 3].map((number) => gate(all, number, hidden)) as [number[], number[], number[], number[]];
    const cell = before.c.map((value, n) => sigmoid(f[n]!) * value + sigmoid(i[n]!) * Math.tanh(g[n]!));
    return { c: cell, h: cell.map((value, n) => sigmoid(o[n]!) * Math.tanh(value)) };
  });
  return [...y, h, c];
}

function judgeGru(inputs: Inputs<Dense>, attrs: SequenceAttrs & { isResetAfter: boolean }): Dense[] {
  const { kernel, recurrentKernel, bias } = inputs;
  const hidden = recurrentKernel.shape[0]!;
  const width = 3 * hidden;
  const { y, h } = runSteps(inputs, attrs, (x, before) => {
    const fromInput = times(x, kernel).map((value, i) => value + (bias?.values[i] ?? 0));
    const stateBias = (i: number): number => (attrs.isResetAfter ? (bias?.values[width + i] ?? 0) : 0);
    const fromState = times(before.h, recurrentKernel).map((value, i) => value + stateBias(i));
    const [z, r] = [0, 1].map((number) =>
      gate(fromInput, number, hidden).map((value, n) => sigmoid(value + fromState[number * hidden + n]!)),
    ) as [number[], number[]];
    const reset = attrs.isResetAfter
      ? gate(fromState, 2, hidden).map((value, n) => r[n]! * value)
      : gate(
          times(
            before.h.map((value, n) => r[n]! * value),
            recurrentKernel,
          ),
          2,
          hidden,
        );
    const candidate = gate(fromInput, 2, hidden).map((value, n) => Math.tanh(value + reset[n]!));
    return { h: before.h.map((value, n) => z[n]! * value + (1 - z[n]!) * candidate[n]!), c: before.c };
  });
  return [...y, h];
}

function judgeRnn(inputs: Inputs<Dense>, attrs: SequenceAttrs & { activation: 'tanh' | 'relu' }): Dense[] {
  const { kernel, recurrentKernel, bias } = inputs;
  const { y, h } = runSteps(inputs, attrs, (x, before) => {
    const fromState = times(before.h, recurrentKernel);
    const all = times(x, kernel).map((value, i) => value + fromState[i]! + (bias?.values[i] ?? 0));
    return { h: all.map((value) => (attrs.activation === 'relu' ? Math.max(0, value) : Math.tanh(value))), c: before.c };
  });
  return [...y, h];
}

/** So small that a step takes the error of the state down, not up, whatever the function. */
const WEIGHTS = { low: -0.35, high: 0.35 } as const;

interface Kind {
  readonly gates: number;
  readonly hasCell: boolean;
  /** Shape of the bias for a width of all gates. */
  readonly biasShape: (width: number, attrs: Readonly<Record<string, unknown>>) => number[];
}

function cases({ gates, hasCell, biasShape }: Kind, extra: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<KernelCase> {
  return fc
    .record({
      batch: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(1, 2, 3, 5) }, { weight: 1, arbitrary: fc.constant(0) }),
      steps: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(1, 2, 3, 7) }, { weight: 1, arbitrary: fc.constant(0) }),
      inputs: fc.constantFrom(1, 2, 3, 7, 9),
      hidden: fc.constantFrom(1, 2, 3, 5, 8),
      bits: fc.nat(15),
      counting: fc.constantFrom('all', 'mask', 'lengths'),
      seed,
      attrs: fc.record({
        isReverse: fc.boolean(),
        maskedOutput: fc.constantFrom('zero', 'hold'),
        returnSequences: fc.constantFrom(true, true, true, false),
        ...extra,
      }),
    })
    .map(({ batch, steps, inputs, hidden, bits, counting, seed: valueSeed, attrs }) => {
      const width = gates * hidden;
      const random = randomSource(valueSeed + 9);
      const lengths = Array.from({ length: batch }, () => Math.floor(random() * (steps + 1)));
      return {
        inputs: given({
          x: float([batch, steps, inputs], valueSeed, 'unit'),
          kernel: float([inputs, width], valueSeed + 1, WEIGHTS),
          recurrentKernel: float([hidden, width], valueSeed + 2, WEIGHTS),
          bias: bits & 3 ? float(biasShape(width, attrs), valueSeed + 3, 'unit') : undefined,
          initialState: bits & 4 ? float([batch, hidden], valueSeed + 4, 'unit') : undefined,
          initialCell: hasCell && bits & 8 ? float([batch, hidden], valueSeed + 5, 'unit') : undefined,
          mask: counting === 'mask' ? bool([batch, steps], valueSeed + 6) : undefined,
          lengths: counting === 'lengths' ? int([batch], 0, { values: lengths }) : undefined,
        }),
        attrs,
      };
    });
}

/** Each step adds a sum of inputs, states and a bias, all below 1, and some ten roundings of functions and products. */
function roundings(kernelCase: KernelCase): number {
  const [, steps, inputs] = inputOf(kernelCase, 'x')!.shape as [number, number, number];
  return (steps + 1) * (inputs + inputOf(kernelCase, 'recurrentKernel')!.shape[0]! + 16);
}

function weightsOf({ kernel, recurrentKernel, bias }: Inputs<tf.Tensor>) {
  return { kernel, recurrentKernel, bias };
}

function optionsOf({ initialState, mask, lengths }: Inputs<tf.Tensor>) {
  return { initialState, mask, lengths };
}

const OF = ['x', 'kernel', 'recurrentKernel', 'bias', 'initialState', 'initialCell'] as const;

export const recurrentSpecs: readonly FusedSpec[] = [
  fusedSpec<Name, Optional, SequenceAttrs>({
    name: 'lstm',
    cases: cases({ gates: 4, hasCell: true, biasShape: (width) => [width] }, {}),
    run: (inputs, attrs) => {
      const { y, state, cell } = lstm(inputs.x, weightsOf(inputs), {
        ...optionsOf(inputs),
        initialCell: inputs.initialCell,
        ...attrs,
      });
      return [...(y === undefined ? [] : [y]), state, cell];
    },
    judge: judgeLstm,
    bound: (kernelCase) => ({ roundings: roundings(kernelCase) }),
    of: OF,
  }),
  fusedSpec<Name, Optional, SequenceAttrs & { isResetAfter: boolean }>({
    name: 'gru',
    cases: cases(
      {
        gates: 3,
        hasCell: false,
        biasShape: (width, { isResetAfter }) => (isResetAfter === true ? [2, width] : [width]),
      },
      { isResetAfter: fc.boolean() },
    ),
    run: (inputs, attrs) => {
      const { y, state } = gru(inputs.x, weightsOf(inputs), { ...optionsOf(inputs), ...attrs });
      return [...(y === undefined ? [] : [y]), state];
    },
    judge: judgeGru,
    bound: (kernelCase) => ({ roundings: roundings(kernelCase) }),
    of: OF,
  }),
  fusedSpec<Name, Optional, SequenceAttrs & { activation: 'tanh' | 'relu' }>({
    name: 'rnn',
    cases: cases({ gates: 1, hasCell: false, biasShape: (width) => [width] }, { activation: fc.constantFrom('tanh', 'relu') }),
    run: (inputs, attrs) => {
      const { y, state } = rnn(inputs.x, weightsOf(inputs), { ...optionsOf(inputs), ...attrs });
      return [...(y === undefined ? [] : [y]), state];
    },
    judge: judgeRnn,
    bound: (kernelCase) => ({ roundings: roundings(kernelCase) }),
    of: OF,
  }),
];
