/**
 * Makes one op give a slightly wrong answer, to see whether the checks notice.
 *
 * The op call itself is wrapped, in the test process only: after the op has run, a float output is scaled by 1.001, of an integer
 * output the first element is raised by one, of a bool output it is flipped. Calls inside a recording are left alone, so only
 * checks that compare with an independent judge can notice, never those that compare our backend with itself.
 */
import fc from 'fast-check';
import { STORAGE_DTYPES } from '../../../ts/native/addon.js';
import { Engine, getEngine, type Operand, type OpRef } from '../../../ts/native/engine.js';
import { checkForward, checkGradient, gradientCasesOf, NON_FINITE, titleOf, type KernelSpec } from './check.js';
import { customChecks } from './custom.js';
import { fusedFamilies } from './fused/index.js';
import { checkFused, checkFusedGradient, gradientCases, hasGradient, type FusedSpec } from './fused/spec.js';
import { allSpecs } from './specs/index.js';

const SCALE = 1.001;

/** One written operand of one op. */
export interface Mutant {
  readonly op: string;
  readonly operand: string;
  /** Place among the operands of ops.def. */
  readonly place: number;
}

/** All mutants of the addon's op list. */
export function mutants(): Mutant[] {
  return getEngine()
    .addon.ops()
    .flatMap(({ name, operands }) =>
      operands.flatMap(({ name: operand, role }, place) => (role === 'in' ? [] : [{ op: name, operand, place }])),
    );
}

type Observer = (engine: Engine, op: OpRef, operands: readonly Operand[]) => void;

/** Runs `body` while every op call is followed by `observe`. */
function observing(observe: Observer, body: () => void): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- put back below, and called with its receiver
  const original = Engine.prototype.call;
  Engine.prototype.call = function call(this: Engine, op, operands, ints, floats): void {
    original.call(this, op, operands, ints, floats);
    if (!this.addon.isRecording()) observe(this, op, operands);
  };
  try {
    body();
  } finally {
    Engine.prototype.call = original;
  }
}

/** Where the operands of ops.def start in a call in which each starred one stands for several. */
function positionOf(engine: Engine, op: OpRef, place: number, count: number): number {
  const { operands } = engine.info(op);
  const starred = operands.filter(({ star }) => star).length;
  const members = starred === 0 ? 1 : (count - (operands.length - starred)) / starred;
  return operands.slice(0, place).reduce((position, { star }) => position + (star ? members : 1), 0);
}

function spoil(engine: Engine, { handle, storage, shape }: Operand): void {
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (size === 0) return;
  const values = engine.readSync(handle, storage, size);
  const name = STORAGE_DTYPES[storage];
  if (name === 'i32') values[0] = (values[0] as number) + 1;
  else if (name === 'u8') values[0] = values[0] === 0 ? 1 : 0;
  else values.forEach((value, i) => (values[i] = value * SCALE));
  engine.write(handle, values);
}

/** Something that judges our backend and throws when it finds a difference. */
export interface Check {
  readonly name: string;
  readonly run: () => void;
}

function checksOf(spec: KernelSpec, cases: number, seed: number): Check[] {
  const drawn = fc.sample(spec.cases, { numRuns: cases, seed });
  const { gradient } = spec;
  const forward = { name: titleOf(spec), run: () => drawn.forEach((kernelCase) => checkForward(spec, kernelCase)) };
  if (gradient === undefined || gradient.tape !== undefined) return [forward];
  const smooth = fc.sample(gradientCasesOf(spec, gradient), { numRuns: 3, seed });
  return [
    forward,
    {
      name: `gradient of ${titleOf(spec)}`,
      run: () => smooth.forEach((kernelCase) => checkGradient(spec, gradient, kernelCase)),
    },
  ];
}

function fusedChecksOf(spec: FusedSpec, cases: number, seed: number): Check[] {
  const drawn = fc.sample(spec.cases, { numRuns: cases, seed });
  const forward = { name: spec.name, run: () => drawn.forEach((kernelCase) => checkFused(spec, kernelCase)) };
  if (!hasGradient(spec)) return [forward];
  const smooth = fc.sample(gradientCases(spec), { numRuns: cases, seed });
  return [
    forward,
    { name: `gradient of ${spec.name}`, run: () => smooth.forEach((kernelCase) => checkFusedGradient(spec, kernelCase)) },
  ];
}

/** The checks that call each op, those with the fewest different ops first: they run quickly and name the op best. */
export function checksByOp(cases: number, seed: number): Map<string, Check[]> {
  const checks: Check[] = [
    // Calls with NaN among the values notice what those without do, and later.
    ...allSpecs.filter(({ variant }) => variant !== NON_FINITE).flatMap((spec) => checksOf(spec, cases, seed)),
    ...Object.values(fusedFamilies)
      .flat()
      .flatMap((spec) => fusedChecksOf(spec, cases, seed)),
    ...customChecks.map(({ name, check }) => ({ name, run: check })),
  ];
  const traced = checks.map((check) => {
    const ops = new Set<string>();
    observing((_, op) => ops.add(op.name), check.run);
    return { check, ops };
  });
  const byOp = new Map<string, Check[]>();
  for (const { check, ops } of traced.sort((a, b) => a.ops.size - b.ops.size)) {
    for (const op of ops) byOp.set(op, [...(byOp.get(op) ?? []), check]);
  }
  return byOp;
}

/** The name of the first check that notices the mutant. */
export function catcherOf(mutant: Mutant, checks: readonly Check[]): string | undefined {
  return checks.find(({ run }) => {
    try {
      observing((engine, op, operands) => {
        if (op.name === mutant.op) spoil(engine, operands[positionOf(engine, op, mutant.place, operands.length)] as Operand);
      }, run);
      return false;
    } catch {
      return true;
    }
  })?.name;
}
