/** Checks of the further optimizer steps, each against its formula in double (native/ops/optim/update_rules.h). */
import * as tf from '@tensorflow/tfjs-core';
import { accumulate, DeviceScalars } from '../../../ts/backend/custom/index.js';
import { moveTowards } from '../../../ts/backend/custom/move-towards.js';
import { RULE_SCALARS, ruleStep, type RuleName } from '../../../ts/backend/custom/update-rules.js';
import { randomSource } from '../describe-model.js';
import { near } from './near.js';

/** Two parameters with their gradients and state. */
const SIZES = [5, 9];
/** An update is a chain of some ten roundings of numbers near 1. */
const UPDATE = 2e-6;
/** Steps taken before the checked one. */
const STEPS = 2;
const PRODUCT = 0.5;

/** One element before the step. */
interface Cell {
  readonly p: number;
  readonly g: number;
  /** The rule's state in the order of its contract. */
  readonly s: readonly number[];
}

interface Rule {
  readonly title: string;
  readonly name: RuleName;
  /** In the order of RULE_SCALARS. */
  readonly scalars: readonly number[];
  /** Lowest value of each kind of state: squares are not negative. */
  readonly lows: readonly number[];
  readonly flags?: readonly number[];
  readonly isCounting?: boolean;
  readonly hasProduct?: boolean;
  /** The element after the step: parameter, then state. `tensor` are the cells of its whole tensor. */
  readonly next: (cell: Cell, tensor: readonly Cell[]) => readonly number[];
}

const [RATE, DECAY, EPSILON, BETA1, BETA2] = [0.125, 0.25, 0.0625, 0.75, 0.875];
const T = STEPS + 1;

function rmsprop(centered: boolean, momentum: number): Rule {
  return {
    title: `RMSProp${centered ? ', centred' : ''}${momentum > 0 ? ', with momentum' : ''}`,
    name: 'rmsprop',
    scalars: [RATE, BETA2, EPSILON, DECAY, momentum],
    // A mean square stays above the square of the mean.
    lows: [1.5, ...(centered ? [-1] : []), ...(momentum > 0 ? [-1] : [])],
    flags: [Number(centered), Number(momentum > 0)],
    next: ({ p, g, s }) => {
      const slope = g + DECAY * p;
      const square = BETA2 * s[0]! + (1 - BETA2) * slope ** 2;
      const average = centered ? s[1]! + (1 - BETA2) * (slope - s[1]!) : 0;
      const root = Math.sqrt(square - average ** 2) + EPSILON;
      const velocity = momentum * (momentum > 0 ? s.at(-1)! : 0) + slope / root;
      const state = [square, ...(centered ? [average] : []), ...(momentum > 0 ? [velocity] : [])];
      return [p - RATE * velocity, ...state];
    },
  };
}

function nadam(decoupled: boolean): Rule {
  const momentumDecay = 0.5;
  const mu = (t: number): number => BETA1 * (1 - 0.96 ** (t * momentumDecay) / 2);
  const product = PRODUCT * mu(T);
  return {
    title: `NAdam${decoupled ? ', decoupled' : ''}`,
    name: 'nadam',
    scalars: [RATE, BETA1, BETA2, EPSILON, DECAY, momentumDecay],
    lows: [-1, 0.25],
    flags: [Number(decoupled)],
    isCounting: true,
    hasProduct: true,
    next: ({ p, g, s }) => {
      const slope = decoupled ? g : g + DECAY * p;
      const [m, v] = [BETA1 * s[0]! + (1 - BETA1) * slope, BETA2 * s[1]! + (1 - BETA2) * slope ** 2];
      const root = Math.sqrt(v / (1 - BETA2 ** T)) + EPSILON;
      const shrunk = decoupled ? p * (1 - RATE * DECAY) : p;
      const change = ((1 - mu(T)) / (1 - product)) * slope + (mu(T + 1) / (1 - product * mu(T + 1))) * m;
      return [shrunk - (RATE * change) / root, m, v];
    },
  };
}

const norm = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));

const RULES: readonly Rule[] = [
  rmsprop(false, 0),
  rmsprop(true, 0.5),
  {
    title: 'Adagrad',
    name: 'adagrad',
    scalars: [RATE, 0.5, EPSILON, DECAY],
    lows: [0.25],
    isCounting: true,
    next: ({ p, g, s }) => {
      const slope = g + DECAY * p;
      const sum = s[0]! + slope ** 2;
      return [p - ((RATE / (1 + (T - 1) * 0.5)) * slope) / (Math.sqrt(sum) + EPSILON), sum];
    },
  },
  {
    title: 'Adadelta',
    name: 'adadelta',
    scalars: [RATE, BETA2, EPSILON, DECAY],
    lows: [0.25, 0.25],
    next: ({ p, g, s }) => {
      const slope = g + DECAY * p;
      const square = BETA2 * s[0]! + (1 - BETA2) * slope ** 2;
      const change = (Math.sqrt(s[1]! + EPSILON) / Math.sqrt(square + EPSILON)) * slope;
      return [p - RATE * change, square, BETA2 * s[1]! + (1 - BETA2) * change ** 2];
    },
  },
  {
    title: 'Adamax',
    name: 'adamax',
    scalars: [RATE, BETA1, BETA2, EPSILON, DECAY],
    lows: [-1, 0.25],
    isCounting: true,
    next: ({ p, g, s }) => {
      const slope = g + DECAY * p;
      const m = s[0]! + (1 - BETA1) * (slope - s[0]!);
      const u = Math.max(BETA2 * s[1]!, Math.abs(slope) + EPSILON);
      return [p - ((RATE / (1 - BETA1 ** T)) * m) / u, m, u];
    },
  },
  nadam(false),
  nadam(true),
  {
    title: 'Lion',
    name: 'lion',
    scalars: [RATE, BETA1, BETA2, DECAY],
    lows: [-1],
    next: ({ p, g, s }) => {
      const sign = Math.sign(BETA1 * s[0]! + (1 - BETA1) * g);
      return [p * (1 - RATE * DECAY) - RATE * sign, BETA2 * s[0]! + (1 - BETA2) * g];
    },
  },
  {
    title: 'LAMB',
    name: 'lamb',
    scalars: [RATE, BETA1, BETA2, EPSILON, DECAY],
    lows: [-1, 0.25],
    isCounting: true,
    next: (cell, tensor) => {
      const moments = ({ g, s }: Cell): readonly [number, number] => [
        BETA1 * s[0]! + (1 - BETA1) * g,
        BETA2 * s[1]! + (1 - BETA2) * g ** 2,
      ];
      const change = (other: Cell): number => {
        const [m, v] = moments(other);
        return m / (1 - BETA1 ** T) / (Math.sqrt(v / (1 - BETA2 ** T)) + EPSILON) + DECAY * other.p;
      };
      const ratio = norm(tensor.map(({ p }) => p)) / norm(tensor.map(change));
      return [cell.p - RATE * ratio * change(cell), ...moments(cell)];
    },
  },
];

function values(seed: number, low: number): Float32Array[] {
  const random = randomSource(seed);
  return SIZES.map((count) => Float32Array.from({ length: count }, () => low + random()));
}

const variables = (arrays: readonly Float32Array[]): tf.Variable[] =>
  arrays.map((array) => tf.variable(tf.tensor1d(array), false));

function checkRule({ title, name, scalars, lows, flags, isCounting = false, hasProduct = false, next }: Rule): void {
  const [p, g, ...states] = [values(1, -0.5), values(2, -0.5), ...lows.map((low, i) => values(3 + i, low))];
  const [parameters, gradients, ...slots] = [p, g, ...states].map(variables);
  const names: readonly string[] = RULE_SCALARS[name];
  const hyper = new DeviceScalars(names, Object.fromEntries(names.map((scalar, i) => [scalar, scalars[i]!])));
  const step = tf.variable(tf.tensor1d([STEPS], 'int32'), false);
  const product = tf.variable(tf.tensor1d([PRODUCT]), false);
  const none = tf.variable(tf.zeros([0]), false);
  // rmsprop takes all its lists, empty ones where its flags leave them out.
  const unused = SIZES.map(() => none);
  const lists =
    name === 'rmsprop' ? [slots[0]!, flags![0] === 1 ? slots[1]! : unused, flags![1] === 1 ? slots.at(-1)! : unused] : slots;
  ruleStep(name, {
    scalars: hyper,
    counters: [...(isCounting ? [step] : []), ...(hasProduct ? [product] : [])],
    parameters: parameters!,
    gradients: gradients!,
    slots: lists,
    ...(flags === undefined ? {} : { flags }),
  });
  if (isCounting) near(`${title}: step`, step.dataSync(), [T], 0);
  if (hasProduct) near(`${title}: product`, product.dataSync(), [PRODUCT * BETA1 * (1 - 0.96 ** (T * 0.5) / 2)], UPDATE);
  SIZES.forEach((count, tensor) => {
    const cells = Array.from({ length: count }, (_, i): Cell => ({
      p: p[tensor]![i]!,
      g: g[tensor]![i]!,
      s: states.map((state) => state[tensor]![i]!),
    }));
    const expected = cells.map((cell) => next(cell, cells));
    [parameters!, ...slots].forEach((group, kind) =>
      near(
        `${title}: ${kind === 0 ? 'parameter' : `state ${kind - 1}`} ${tensor}`,
        group[tensor]!.dataSync(),
        expected.map((after) => after[kind]!),
        UPDATE,
      ),
    );
  });
  hyper.dispose();
  for (const variable of [step, product, none, ...parameters!, ...gradients!, ...slots.flat()]) variable.dispose();
}

function checkMove(weight: number): void {
  const [from, to] = [values(1, -0.5), values(2, -0.5)];
  const [targets, sources] = [variables(from), variables(to)];
  const scalars = new DeviceScalars(['weight'], { weight });
  moveTowards(targets, sources, scalars);
  targets.forEach((target, tensor) =>
    near(
      `move by ${weight} ${tensor}`,
      target.dataSync(),
      Array.from(from[tensor]!, (value, i) => (weight === 1 ? to[tensor]![i]! : value + weight * (to[tensor]![i]! - value))),
      weight === 1 ? 0 : UPDATE,
    ),
  );
  scalars.dispose();
  for (const variable of [...targets, ...sources]) variable.dispose();
}

function checkAccumulate(keep: number): void {
  const [from, to] = [values(1, -0.5), values(2, -0.5)];
  const [targets, sources] = [variables(from), variables(to)];
  const weight = 0.375;
  const scalars = new DeviceScalars(['keep', 'weight'], { keep, weight });
  accumulate(targets, sources, scalars);
  targets.forEach((target, tensor) =>
    near(
      `accumulate keeping ${keep} ${tensor}`,
      target.dataSync(),
      Array.from(from[tensor]!, (value, i) => keep * value + weight * to[tensor]![i]!),
      UPDATE,
    ),
  );
  scalars.dispose();
  for (const variable of [...targets, ...sources]) variable.dispose();
}

/** One check per rule and form. */
export const updateRuleChecks: readonly { readonly name: string; readonly check: () => void }[] = [
  ...RULES.map((rule) => ({
    name: `a step of ${rule.title}`,
    check: (): void => {
      checkRule(rule);
    },
  })),
  ...[0.25, 1].map((weight) => ({
    name: `moving variables by ${weight}`,
    check: (): void => {
      checkMove(weight);
    },
  })),
  ...[0, 0.75].map((keep) => ({
    name: `adding up, keeping ${keep}`,
    check: (): void => {
      checkAccumulate(keep);
    },
  })),
];
