/** One recording of a step: runs it while its op calls are listed natively, and notes what a replay has to do besides them. */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnError } from '../errors.js';
import { markSite, readSite, withDeepStacks } from './origin.js';
import { toTensorkilnError } from '../native/engine.js';
import type { NativeAddon } from '../native/addon.js';
import type { CountedUpdates, StockOptimizers } from './stock-optimizers.js';
import { currentBackend, makeUnique, tensorFromInfo } from './tensors.js';

/** What a compiled step takes. Numbers and booleans are part of the signature: other values mean another recording. */
export type StepArgument = tf.Tensor | number | boolean;
export type StepResult = tf.Tensor | tf.Tensor[];

/** A variable that a plan reads or updates: its place among the plan's captures and the buffer the plan works on. */
export interface CapturedVariable {
  readonly variable: tf.Variable;
  readonly index: number;
  handle: number;
}

export interface Recording {
  /** The device's face of the addon, to which the plan belongs. */
  readonly addon: NativeAddon;
  readonly plan: number;
  readonly fingerprint: string;
  readonly outputs: readonly {
    readonly shape: readonly number[];
    readonly dtype: tf.DataType;
    readonly storage: number;
  }[];
  readonly isArray: boolean;
  readonly variables: CapturedVariable[];
  /** Variables that the step assigns: the plan returns their new values behind its outputs. */
  readonly assigned: readonly tf.Variable[];
  /** Updates of each stock optimizer. */
  readonly updates: readonly CountedUpdates[];
  /** Where in the program each call and each host write came from; emptied once the plan is proven. */
  readonly calls: Error[];
  readonly hostWrites: Error[];
}

/** tfjs-core's functions that draw on the host, with what to use instead. */
const HOST_RANDOM: Readonly<Record<string, string>> = {
  dropout: "`dropout` of 'tensorkiln' with a RandomState",
  randomUniform: "`randomUniform` of 'tensorkiln' with a RandomState",
  randomUniformInt: "`randomUniform` of 'tensorkiln' with a RandomState and dtype 'int32'",
  randomNormal: "`randomNormal` of 'tensorkiln' with a RandomState",
  randomStandardNormal: "`randomNormal` of 'tensorkiln' with a RandomState",
  truncatedNormal: "`randomNormal` of 'tensorkiln' with a RandomState and tf.clipByValue",
  randomGamma: 'numbers drawn outside the step and given as an argument',
  rand: 'numbers drawn outside the step and given as an argument',
};

export function isTensor(value: unknown): value is tf.Tensor {
  return value instanceof tf.Tensor;
}

export function handlesOf(args: readonly StepArgument[]): Int32Array {
  const backend = currentBackend();
  return Int32Array.from(args.filter(isTensor), (tensor) => backend.operand(tensor).handle);
}

/**
 * Runs a step and records it.
 *
 * @param stock      the stock optimizers of the compiled step
 * @param mayGoOn    whether a step that cannot be recorded goes on as it stands
 * @returns          what the step returned, and the recording, whose plan the caller disposes; or why there is none
 * @throws E_RECORDING when the step did what a replay cannot repeat; E_DISPOSED when it used a disposed tensor; what `fn` throws
 */
export function recordStep<A extends StepArgument[], R extends StepResult>(
  addon: NativeAddon,
  stock: StockOptimizers,
  fn: (...args: A) => R,
  args: A,
  mayGoOn: boolean,
): { result: R; recording: Recording | TensorkilnError } {
  const loans: tf.Tensor[] = [];
  try {
    return recordWith(addon, stock, fn, ownHandles(args, loans), mayGoOn);
  } finally {
    tf.dispose(loans);
  }
}

/**
 * Arguments of which each has a native handle that nothing else refers to. A recording knows tensors by their handles only: an
 * argument that shared its handle with a variable, a captured tensor or another argument could not be told from it in replays.
 *
 * @param loans takes the tensors made for this, to be disposed after the recording
 */
function ownHandles<A extends StepArgument[]>(args: A, loans: tf.Tensor[]): A {
  const backend = currentBackend();
  for (const { variable } of variableHandles()) makeUnique(variable);
  return args.map((arg) => {
    if (!isTensor(arg) || arg instanceof tf.Variable) return arg;
    const own = tf.keep(tensorFromInfo(backend.alias(arg), backend));
    loans.push(own);
    return own;
  }) as A;
}

function recordWith<A extends StepArgument[], R extends StepResult>(
  addon: NativeAddon,
  stock: StockOptimizers,
  fn: (...args: A) => R,
  args: A,
  mayGoOn: boolean,
): { result: R; recording: Recording | TensorkilnError } {
  const handles = handlesOf(args);
  const before = variableHandles();
  stock.follow();
  try {
    addon.recordBegin();
  } catch (error) {
    throw toTensorkilnError(error);
  }
  const notes = new Notes();
  const backend = currentBackend();
  let refusal: TensorkilnError | undefined;
  if (mayGoOn) backend.onRefusal = (reason) => void (refusal ??= reason);
  let result: R | undefined;
  try {
    const watched = notes.take(() => stock.watch(() => tf.tidy(() => ownResult(fn(...args)))));
    result = watched.result;
    if (refusal !== undefined) return { result, recording: refusal };
    const outputs: tf.Tensor[] = Array.isArray(result) ? result : [result];
    const assigned = assignedVariables(before);
    const plan = addon.recordEnd(handles, Int32Array.from([...handlesOf(outputs), ...assigned.map(makeUnique)]));
    const variables = variablesOf(addon, plan, before);
    return {
      result,
      recording: {
        addon,
        plan,
        fingerprint: nameVariables(addon.planFingerprint(plan), variables),
        outputs: outputs.map((output) => {
          const { storage } = currentBackend().record(output);
          return { shape: output.shape, dtype: output.dtype, storage };
        }),
        isArray: Array.isArray(result),
        variables,
        assigned,
        updates: watched.updates,
        calls: notes.calls,
        hostWrites: notes.hostWrites,
      },
    };
  } catch (error) {
    addon.recordAbort();
    if (result !== undefined) tf.dispose(result);
    throw describe(toTensorkilnError(error));
  } finally {
    backend.onRefusal = undefined;
  }
}

/** Notes where calls and host writes come from while a step runs. */
class Notes {
  readonly calls: Error[] = [];
  readonly hostWrites: Error[] = [];

  take<Result>(body: () => Result): Result {
    const backend = currentBackend();
    const { engine } = backend;
    engine.onRecordedCall = () => void this.calls.push(markSite());
    backend.onHostData = () => void this.hostWrites.push(markSite());
    try {
      return withDeepStacks(body);
    } finally {
      engine.onRecordedCall = undefined;
      backend.onHostData = undefined;
    }
  }
}

/** The error for a step that drew random numbers on the host, naming function, line and what to use; undefined when it did not. */
export function hostRandomRefusal({ hostWrites }: Recording): TensorkilnError | undefined {
  for (const mark of hostWrites) {
    const { functions, line } = readSite(mark);
    // tf.dropout draws through randomUniform: the outermost name is the one the program knows.
    const name = functions.includes('dropout') ? 'dropout' : functions.find((found) => Object.hasOwn(HOST_RANDOM, found));
    if (name === undefined) continue;
    return new TensorkilnError(
      'E_RECORDING',
      `[compile] tf.${name} draws its numbers on the host, so every replay would repeat them: use ${HOST_RANDOM[name] as string}.` +
        (line === undefined ? '' : ` At ${line}.`),
    );
  }
  return undefined;
}

/** Disposed tensors: tfjs-core has a plain Error for them, and neither it nor a kernel says where the program used one. */
function describe(error: unknown): unknown {
  if (!(error instanceof Error) || !/disposed/.test(error.message)) return error;
  if (error instanceof TensorkilnError && (error.code !== 'E_DISPOSED' || error.message.startsWith('[compile]'))) return error;
  const { line } = readSite(error);
  return new TensorkilnError(
    'E_DISPOSED',
    `[compile] the step used a tensor that has been disposed: ${error.message} Keep it alive until the step has been recorded.` +
      (line === undefined ? '' : ` At ${line}.`),
    { cause: error },
  );
}

/** What the caller may keep: variables and tensors from outside come back as tensors of their own, as they would from a replay. */
function ownResult<R extends StepResult>(result: R): R {
  const madeInside = new Set(tf.engine().state.activeScope.track);
  const own = (value: unknown): tf.Tensor => {
    if (!isTensor(value)) {
      throw new TensorkilnError(
        'E_RECORDING',
        `[compile] a step must return a tensor or an array of tensors, got ${describeResult(value)}.`,
      );
    }
    return value instanceof tf.Variable || !madeInside.has(value) ? value.clone() : value;
  };
  return (Array.isArray(result) ? result.map(own) : own(result)) as R;
}

/** What a step returned in place of tensors, with what makes it right where that is known. */
function describeResult(value: unknown): string {
  if (value instanceof Promise) return 'a promise: a step is a synchronous function';
  if (value === null) return "null: an optimizer's minimize returns the loss when its second argument is true";
  return typeof value;
}

type VariableHandle = { readonly variable: tf.Variable; readonly handle: number };

/** The buffer of each variable that lives here. */
function variableHandles(): VariableHandle[] {
  const backend = currentBackend();
  return Object.values(tf.engine().registeredVariables).flatMap((variable) => {
    const handle = backend.handleIfHere(variable);
    return handle === undefined ? [] : [{ variable, handle }];
  });
}

/** A variable goes by the buffer it had when the step began, or by its own when the step made it. */
function variablesOf(addon: NativeAddon, plan: number, before: readonly VariableHandle[]): CapturedVariable[] {
  const captured = new Map(Array.from(addon.planCaptures(plan), (handle, index) => [handle, index]));
  const known = new Set(before.map(({ variable }) => variable));
  return [...before, ...variableHandles().filter(({ variable }) => !known.has(variable))].flatMap(({ variable, handle }) => {
    const index = captured.get(handle);
    return index === undefined ? [] : [{ variable, index, handle }];
  });
}

/** A variable may be on another buffer at each recording and is the same all the same: in the fingerprint it goes by its name. */
function nameVariables(fingerprint: string, variables: readonly CapturedVariable[]): string {
  const names = new Map(variables.map(({ variable, handle }) => [String(handle), variable.name]));
  return fingerprint.replace(/ buffer (\d+)$/gm, (text, handle: string) => {
    const name = names.get(handle);
    return name === undefined ? text : ` variable ${name}`;
  });
}

/** Variables that are on another buffer than before. Their data id may change all the same: `makeUnique` gives them another one. */
function assignedVariables(before: readonly VariableHandle[]): tf.Variable[] {
  const backend = currentBackend();
  return before.flatMap(({ variable, handle }) =>
    tf.engine().registeredVariables[variable.name] !== variable || backend.handleIfHere(variable) === handle ? [] : [variable],
  );
}

/** What differs between two recordings that ought to be one, with the line of the program it comes from. */
export function firstDifference(before: Recording, after: Recording): string {
  const [a, b] = [before.fingerprint.split('\n'), after.fingerprint.split('\n')];
  const callsOf = (lines: readonly string[]): string[] => lines.filter(isCall);
  const [callsBefore, callsAfter] = [callsOf(a), callsOf(b)];
  const at = (index: number): string => {
    const mark = after.calls[index] ?? before.calls[index];
    const line = mark === undefined ? undefined : readSite(mark).line;
    return line === undefined ? '' : ` At ${line}.`;
  };
  for (let i = 0; i < Math.max(callsBefore.length, callsAfter.length); ++i) {
    if (callsBefore[i] !== callsAfter[i]) {
      return `Call ${String(i + 1)} was \`${callsBefore[i] ?? 'absent'}\` and became \`${callsAfter[i] ?? 'absent'}\`.${at(i)}`;
    }
  }
  const line = a.findIndex((text, index) => text !== b[index]);
  const [was, is] = [a[line] ?? '', b[line] ?? ''];
  const user = userOf(b, is);
  const place = user === undefined ? '' : at(callsAfter.indexOf(user));
  const call = user ?? 'no call';
  if (was.startsWith('constant')) {
    return `The host wrote other values each time (\`${was}\`, then \`${is}\`), used by \`${call}\`.${place}`;
  }
  return `It used another tensor from outside each time (\`${was}\`, then \`${is}\`), in \`${call}\`.${place}`;
}

/** Whether a line of a plan is an op call: neither a declaration nor bookkeeping of buffers. */
function isCall(line: string): boolean {
  return line.includes('(') && !/(= alias|^assign)\(/.test(line);
}

/** The first call that uses the value which a line declares, by itself or under another name. */
function userOf(lines: readonly string[], declaration: string): string | undefined {
  const name = /%\d+/.exec(declaration)?.[0] ?? '';
  const user = lines.find((line) => line !== declaration && line.includes('(') && new RegExp(`${name}\\b`).test(line));
  if (user === undefined) return undefined;
  return isCall(user) ? user : userOf(lines, user);
}
