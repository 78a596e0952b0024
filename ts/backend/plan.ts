/** Steps that are recorded once and replayed natively. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkKeys, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { toTensorkilnError } from './native/engine.js';
import { STORAGE_DTYPES, type NativeAddon } from './native/addon.js';
import { isHalf } from './record.js';
import { currentBackend, makeUnique, tensorFromHandle, tensorFromInfo } from './tensors.js';

/** What a compiled step takes. Numbers and booleans are part of the signature: other values mean another recording. */
export type StepArgument = tf.Tensor | number | boolean;
export type StepResult = tf.Tensor | tf.Tensor[];

/** A function whose work is recorded and replayed. */
export interface CompiledStep<A extends StepArgument[], R extends StepResult> {
  (...args: A): R;
  /** Recordings and replays so far. */
  readonly statistics: { readonly recordings: number; readonly replays: number };
  /** The text form of every plan that is in use, one per signature. */
  plans(): string[];
  /** The optimised form of the same plans; an empty text for one that is replayed as recorded. */
  programs(): string[];
  /** Frees all plans. The step cannot be called afterwards. */
  dispose(): void;
}

/** How a step is compiled. */
export interface CompileOptions {
  /** Whether replays are optimised: calls fused, repeated ones left out, memory planned. Default true; false replays as recorded. */
  readonly optimize?: boolean;
  /** 'exact' (default): replays give the bits of an eager run. 'fast': calls may be replaced by ones that round otherwise. */
  readonly numerics?: 'exact' | 'fast';
}

/** A variable that a plan reads or updates: its place among the plan's captures and the buffer the plan works on. */
interface CapturedVariable {
  readonly variable: tf.Variable;
  readonly index: number;
  handle: number;
}

interface Recording {
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
}

interface SignatureState {
  recording: Recording | undefined;
  proven: boolean;
  recordings: number;
}

/** Recordings of one signature that may differ before it is an error: the first may build state that later ones find. */
const MAX_RECORDINGS = 3;

/** Plans of steps that were forgotten without dispose(). */
const forgotten = new FinalizationRegistry(releasePlans);

function releasePlans(states: Map<string, SignatureState>): void {
  for (const { recording } of states.values()) recording?.addon.planDispose(recording.plan);
  states.clear();
}

/**
 * Compiles a step: the first calls run as usual while their op calls are recorded; once two recordings agree, calls are
 * replayed natively, without running `fn`. One plan per signature (shapes and dtypes of the tensors, values of the others).
 *
 * Inside `fn` everything that changes from call to call must be a tensor argument, a variable, or device state of our own
 * ops; variables are seen as they are at each call and may be updated in place. The tensors returned are fresh ones.
 *
 * @param fn a synchronous function of tensors, numbers and booleans that returns a tensor or an array of tensors
 * @returns  the compiled step
 * @throws E_RECORDING (when called) when `fn` reads a tensor, returns something else than tensors, or does not repeat itself: the
 *         message names the first call that differs; when called while gradients are being recorded or inside another recording
 */
export function compile<A extends StepArgument[], R extends StepResult>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): CompiledStep<A, R> {
  const { optimize, fast } = checkOptions(options);
  const states = new Map<string, SignatureState>();
  let recordings = 0;
  let replays = 0;
  let disposed = false;

  const step = (...args: A): R => {
    if (disposed) throw new TensorkilnError('E_DISPOSED', '[compile] the compiled step has been disposed.');
    if (tf.engine().state.gradientDepth > 0) {
      throw new TensorkilnError(
        'E_RECORDING',
        '[compile] a compiled step was called while gradients are being taken of it: a replay has no gradient. Take the gradient inside the step.',
      );
    }
    const backend = currentBackend();
    const { addon } = backend.engine;
    const precision = backend.autocast === undefined ? '' : ` in ${STORAGE_DTYPES[backend.autocast.storage]}`;
    const key = `${backend.name}${precision}: ${signatureOf(args)}`;
    // Inside another step its calls are simply part of that one.
    if (addon.isRecording()) return tf.tidy(() => fn(...args));
    let state = states.get(key);
    if (state === undefined) states.set(key, (state = { recording: undefined, proven: false, recordings: 0 }));
    if (state.proven && state.recording !== undefined) {
      replays++;
      const { engine } = backend;
      const start = engine.onCall === undefined ? 0 : performance.now();
      const result = replay(addon, state.recording, args) as R;
      if (engine.onCall !== undefined) engine.onCall('replay', start, performance.now());
      return result;
    }
    recordings++;
    try {
      const result = record(addon, state, fn, args);
      if (state.proven && optimize) optimizePlan(state.recording, fast);
      return result;
    } finally {
      // The step may have been disposed by its own function.
      if (disposed && state.recording !== undefined) addon.planDispose(state.recording.plan);
    }
  };
  forgotten.register(step, states, states);

  return Object.defineProperties(step, {
    statistics: { get: () => ({ recordings, replays }) },
    plans: {
      value: () =>
        [...states.values()].flatMap(({ recording }) => (recording ? [recording.addon.planText(recording.plan)] : [])),
    },
    programs: {
      value: () =>
        [...states.values()].flatMap(({ recording }) => (recording ? [recording.addon.planOptimizedText(recording.plan)] : [])),
    },
    dispose: {
      value: () => {
        if (disposed) return;
        disposed = true;
        forgotten.unregister(states);
        releasePlans(states);
      },
    },
  }) as CompiledStep<A, R>;
}

function checkOptions(options: CompileOptions): { optimize: boolean; fast: boolean } {
  const place = 'compile';
  checkKeys(place, options, ['optimize', 'numerics']);
  return {
    optimize: checkBoolean(place, 'optimize', options.optimize ?? true),
    fast: checkOneOf(place, 'numerics', options.numerics ?? 'exact', ['exact', 'fast']) === 'fast',
  };
}

function optimizePlan(recording: Recording | undefined, fast: boolean): void {
  if (recording === undefined) return;
  try {
    recording.addon.planOptimize(recording.plan, fast);
  } catch (error) {
    throw toTensorkilnError(error);
  }
}

function isTensor(value: unknown): value is tf.Tensor {
  return value instanceof tf.Tensor;
}

function signatureOf(args: readonly StepArgument[]): string {
  return args
    .map((arg, index) => {
      if (isTensor(arg)) {
        if (arg.isDisposed) {
          throw new TensorkilnError('E_DISPOSED', `[compile] argument ${String(index)} of the step has been disposed.`);
        }
        // A variable is captured as well when the step refers to it otherwise: each variable has plans of its own.
        const variable = arg instanceof tf.Variable ? ` variable ${String(arg.id)}` : '';
        const storage = currentBackend().storageIfHere(arg);
        const stored = storage !== undefined && isHalf(storage) ? ` as ${STORAGE_DTYPES[storage]}` : '';
        return `${arg.dtype}[${arg.shape.join(',')}]${stored}${variable}`;
      }
      if (typeof arg === 'number') return Object.is(arg, -0) ? '-0' : String(arg);
      if (typeof arg === 'boolean') return String(arg);
      throw new TensorkilnError(
        'E_RECORDING',
        `[compile] argument ${String(index)} of the step: expected a tensor, number or boolean, got ${typeof arg}.`,
      );
    })
    .join('; ');
}

function handlesOf(args: readonly StepArgument[]): Int32Array {
  const backend = currentBackend();
  return Int32Array.from(args.filter(isTensor), (tensor) => backend.operand(tensor).handle);
}

function record<A extends StepArgument[], R extends StepResult>(
  addon: NativeAddon,
  state: SignatureState,
  fn: (...args: A) => R,
  args: A,
): R {
  const loans: tf.Tensor[] = [];
  try {
    return recordWith(addon, state, fn, ownHandles(args, loans));
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
  state: SignatureState,
  fn: (...args: A) => R,
  args: A,
): R {
  const handles = handlesOf(args);
  const before = variableHandles();
  try {
    addon.recordBegin();
  } catch (error) {
    throw toTensorkilnError(error);
  }
  let result: R | undefined;
  let fresh: Recording;
  try {
    result = tf.tidy(() => ownResult(fn(...args)));
    refuseAssignments(before);
    const outputs: tf.Tensor[] = Array.isArray(result) ? result : [result];
    const plan = addon.recordEnd(handles, handlesOf(outputs));
    const variables = variablesOf(addon, plan);
    fresh = {
      addon,
      plan,
      fingerprint: nameVariables(addon.planFingerprint(plan), variables),
      outputs: outputs.map((output) => {
        const { storage } = currentBackend().record(output);
        return { shape: output.shape, dtype: output.dtype, storage };
      }),
      isArray: Array.isArray(result),
      variables,
    };
  } catch (error) {
    addon.recordAbort();
    if (result !== undefined) tf.dispose(result);
    throw toTensorkilnError(error);
  }
  const previous = state.recording;
  state.recordings++;
  state.recording = fresh;
  state.proven = previous?.fingerprint === fresh.fingerprint;
  if (previous !== undefined) {
    addon.planDispose(previous.plan);
    if (!state.proven && state.recordings >= MAX_RECORDINGS) {
      const difference = firstDifference(previous.fingerprint, fresh.fingerprint);
      addon.planDispose(fresh.plan);
      state.recording = undefined;
      state.recordings = 0;
      tf.dispose(result);
      throw new TensorkilnError(
        'E_RECORDING',
        `[compile] the step does not repeat itself, so it cannot be replayed. ${difference} ` +
          'Pass what changes as a tensor argument, or keep it in a variable.',
      );
    }
  }
  return result;
}

/** What the caller may keep: variables and tensors from outside come back as tensors of their own, as they would from a replay. */
function ownResult<R extends StepResult>(result: R): R {
  const madeInside = new Set(tf.engine().state.activeScope.track);
  const own = (value: unknown): tf.Tensor => {
    if (!isTensor(value)) {
      throw new TensorkilnError(
        'E_RECORDING',
        `[compile] a step must return a tensor or an array of tensors, got ${typeof value}.`,
      );
    }
    return value instanceof tf.Variable || !madeInside.has(value) ? value.clone() : value;
  };
  return (Array.isArray(result) ? result.map(own) : own(result)) as R;
}

function variablesOf(addon: NativeAddon, plan: number): CapturedVariable[] {
  const captured = new Map(Array.from(addon.planCaptures(plan), (handle, index) => [handle, index]));
  return variableHandles().flatMap(({ variable, handle }) => {
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

/** The buffer of each variable that lives here. */
function variableHandles(): { variable: tf.Variable; handle: number }[] {
  const backend = currentBackend();
  return Object.values(tf.engine().registeredVariables).flatMap((variable) => {
    const handle = backend.handleIfHere(variable);
    return handle === undefined ? [] : [{ variable, handle }];
  });
}

/** Variable.assign moves a variable to another buffer, which no replay would do. Our optimizers update in place. */
function refuseAssignments(before: readonly { variable: tf.Variable; handle: number }[]): void {
  const backend = currentBackend();
  for (const { variable, handle } of before) {
    // The data id may change all the same: `makeUnique` gives the variable another one with the old buffer.
    if (tf.engine().registeredVariables[variable.name] !== variable || backend.handleIfHere(variable) === handle) continue;
    throw new TensorkilnError(
      'E_RECORDING',
      `[compile] variable '${variable.name}' was assigned another tensor inside the step, which a replay would not repeat. ` +
        "Use an optimizer of 'tensorkiln/optim', which updates in place, or assign outside the step.",
    );
  }
}

function replay(addon: NativeAddon, recording: Recording, args: readonly StepArgument[]): StepResult {
  try {
    for (const captured of recording.variables) {
      // A disposed variable lives on in the plan, as a captured tensor does.
      if (captured.variable.isDisposed) continue;
      const handle = makeUnique(captured.variable);
      if (handle === captured.handle) continue;
      // The variable was assigned another tensor since.
      addon.planRebind(recording.plan, captured.index, handle);
      captured.handle = handle;
    }
    const handles = addon.planReplay(recording.plan, handlesOf(args));
    const outputs = recording.outputs.map(({ shape, dtype, storage }, index) =>
      tensorFromHandle(handles[index] as number, shape, dtype, storage),
    );
    return recording.isArray ? outputs : (outputs[0] as tf.Tensor);
  } catch (error) {
    throw toTensorkilnError(error);
  }
}

function firstDifference(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const calls = (lines: string[]): string[] => lines.filter((line) => line.includes('('));
  const [callsBefore, callsAfter] = [calls(a), calls(b)];
  for (let i = 0; i < Math.max(callsBefore.length, callsAfter.length); ++i) {
    if (callsBefore[i] !== callsAfter[i]) {
      return `Call ${String(i + 1)} was \`${callsBefore[i] ?? 'absent'}\` and became \`${callsAfter[i] ?? 'absent'}\`.`;
    }
  }
  const line = a.findIndex((text, index) => text !== b[index]);
  const [was, is] = [a[line] ?? '', b[line] ?? ''];
  if (was.startsWith('constant')) {
    return `The host wrote other values each time (\`${was}\`, then \`${is}\`), used by \`${userOf(b, is)}\`.`;
  }
  return `It used another tensor from outside each time (\`${was}\`, then \`${is}\`), in \`${userOf(b, is)}\`.`;
}

/** The first call that uses the value which a line declares, by itself or under another name. */
function userOf(lines: readonly string[], declaration: string): string {
  const name = /%\d+/.exec(declaration)?.[0] ?? '';
  const user = lines.find((line) => line !== declaration && line.includes('(') && new RegExp(`${name}\\b`).test(line));
  if (user === undefined) return 'no call';
  return / = alias\(/.test(user) ? userOf(lines, user) : user;
}
