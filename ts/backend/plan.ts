/** Steps that are recorded once and replayed natively. */
import * as tf from '@tensorflow/tfjs-core';
import { checkBoolean, checkInteger, checkKeys, checkOneOf } from '../arguments.js';
import { TensorkilnError } from '../errors.js';
import { toTensorkilnError } from '../native/engine.js';
import type { TensorkilnBackend } from './backend.js';
import { STORAGE_DTYPES, type NativeAddon } from '../native/addon.js';
import { isHalf } from './record.js';
import {
  firstDifference,
  handlesOf,
  isTensor,
  recordStep,
  hostRandomRefusal,
  type Recording,
  type StepArgument,
  type StepResult,
} from './recording.js';
import { countUpdates, StockOptimizers } from './stock-optimizers.js';
import { currentBackend, makeUnique, tensorFromHandle } from './tensors.js';

export type { StepArgument, StepResult } from './recording.js';

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
  /** Most signatures whose plans are kept, >= 1; the one used longest ago goes first. Default 64. */
  readonly maxPlans?: number;
  /** When it is aborted, calls throw E_ABORTED; what is enqueued still runs. */
  readonly signal?: AbortSignal;
  /**
   * When given, a step that cannot be recorded runs as it stands, in this call and all later ones of the signature, and this is
   * told why; without it, calls throw.
   */
  readonly onFallback?: (reason: TensorkilnError) => void;
}

interface SignatureState {
  /** Whether it has been found that it cannot be recorded. */
  isEager: boolean;
  recording: Recording | undefined;
  proven: boolean;
  recordings: number;
}

/** What a compiled step holds natively. */
interface Held {
  readonly states: Map<string, SignatureState>;
  readonly stock: StockOptimizers;
}

/** Recordings of one signature that may differ before it is an error: the first may build state that later ones find. */
const MAX_RECORDINGS = 3;

/** Plans of steps that were forgotten without dispose(). */
const forgotten = new FinalizationRegistry(releasePlans);

function releasePlans({ states, stock }: Held): void {
  for (const { recording } of states.values()) recording?.addon.planDispose(recording.plan);
  states.clear();
  stock.dispose();
}

function dropOldest(states: Map<string, SignatureState>): void {
  for (const [key, { recording }] of states) {
    recording?.addon.planDispose(recording.plan);
    states.delete(key);
    return;
  }
}

/**
 * Compiles a step: the first calls run as usual while their op calls are recorded; once two recordings agree, calls are
 * replayed natively, without running `fn`. One plan per signature (shapes and dtypes of the tensors, values of the others).
 *
 * Inside `fn` everything that changes from call to call must be a tensor argument, a variable, or device state of our own
 * ops; variables are seen as they are at each call and may be updated in place or assigned. Optimizers of tfjs-core work as well:
 * their rate is followed and their steps are counted. The tensors returned are fresh ones.
 *
 * @param fn      a synchronous function of tensors, numbers and booleans that returns a tensor or an array of tensors. Its type may be
 *                null as well, as that of `optimizer.minimize(f, true)` is: what it gives may not
 * @param options see CompileOptions
 * @returns       the compiled step
 * @throws E_CONFIG for options
 * @throws (when called) E_RECORDING when `fn` reads a tensor, uses an op that works on the host, draws stock random numbers, returns
 *         something else than tensors, or does not repeat itself: the message names the op and the line of the program; also when
 *         called while gradients are being taken. E_DEVICE for an argument on another backend, E_DISPOSED for a disposed argument or
 *         captured tensor, E_ABORTED after the signal.
 */
export function compile<A extends StepArgument[], R extends StepResult>(
  fn: (...args: A) => R | null,
  options: CompileOptions = {},
): CompiledStep<A, R> {
  const { optimize, fast, maxPlans, signal } = checkOptions(options);
  const { onFallback } = options;
  // A null is refused when the step is recorded.
  const run = fn as (...args: A) => R;
  // In the order of their last use.
  const states = new Map<string, SignatureState>();
  const stock = new StockOptimizers();
  let recordings = 0;
  let replays = 0;
  let disposed = false;

  const step = (...args: A): R => {
    if (disposed) throw new TensorkilnError('E_DISPOSED', '[compile] the compiled step has been disposed.');
    if (signal?.aborted === true) {
      throw new TensorkilnError('E_ABORTED', '[compile] the compiled step was cancelled by its signal.', {
        cause: signal.reason,
      });
    }
    if (tf.engine().state.gradientDepth > 0) {
      throw new TensorkilnError(
        'E_RECORDING',
        '[compile] a compiled step was called while gradients are being taken of it: a replay has no gradient. Take the gradient inside the step.',
      );
    }
    const backend = currentBackend();
    const { addon } = backend.engine;
    const precision = backend.autocast === undefined ? '' : ` in ${STORAGE_DTYPES[backend.autocast.storage]}`;
    const key = `${backend.name}${precision}: ${signatureOf(backend, args)}`;
    // Inside another step its calls are simply part of that one.
    if (addon.isRecording()) return tf.tidy(() => run(...args));
    let state = states.get(key);
    if (state === undefined) state = { isEager: false, recording: undefined, proven: false, recordings: 0 };
    else states.delete(key);
    states.set(key, state);
    if (states.size > maxPlans) dropOldest(states);
    if (state.proven && state.recording !== undefined) {
      replays++;
      const { engine } = backend;
      const start = engine.onCall === undefined ? 0 : performance.now();
      stock.follow();
      const result = replay(addon, state.recording, args) as R;
      if (engine.onCall !== undefined) engine.onCall('replay', start, performance.now());
      return result;
    }
    if (state.isEager) return tf.tidy(() => run(...args));
    recordings++;
    try {
      const result = record(addon, state, stock, run, args, onFallback);
      if (state.proven && optimize) optimizeAfter(result, state.recording, fast);
      return result;
    } finally {
      // The step may have been disposed by its own function.
      if (disposed && state.recording !== undefined) addon.planDispose(state.recording.plan);
    }
  };
  forgotten.register(step, { states, stock }, states);

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
        releasePlans({ states, stock });
      },
    },
  }) as CompiledStep<A, R>;
}

interface CheckedOptions {
  readonly optimize: boolean;
  readonly fast: boolean;
  readonly maxPlans: number;
  readonly signal: AbortSignal | undefined;
}

function checkOptions(options: CompileOptions): CheckedOptions {
  const place = 'compile';
  checkKeys(place, options, ['optimize', 'numerics', 'maxPlans', 'signal', 'onFallback']);
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TensorkilnError('E_CONFIG', '[compile] wrong signal: expected an AbortSignal.');
  }
  return {
    signal,
    maxPlans: checkInteger(place, 'maxPlans', options.maxPlans ?? 64, { min: 1 }),
    optimize: checkBoolean(place, 'optimize', options.optimize ?? true),
    fast: checkOneOf(place, 'numerics', options.numerics ?? 'exact', ['exact', 'fast']) === 'fast',
  };
}

/** Optimises a plan whose step has just run. Where memory is short the plan is replayed as recorded: the step is done. */
function optimizeAfter(result: StepResult, recording: Recording | undefined, fast: boolean): void {
  if (recording === undefined) return;
  try {
    recording.addon.planOptimize(recording.plan, fast);
  } catch (error) {
    const known = toTensorkilnError(error);
    if (known instanceof TensorkilnError && known.code === 'E_OUT_OF_MEMORY') return;
    tf.dispose(result);
    throw known;
  }
}

function signatureOf(backend: TensorkilnBackend, args: readonly StepArgument[]): string {
  return args
    .map((arg, index) => {
      if (isTensor(arg)) {
        if (arg.isDisposed) {
          throw new TensorkilnError('E_DISPOSED', `[compile] argument ${String(index)} of the step has been disposed.`);
        }
        if (backend.handleIfHere(arg) === undefined && (arg.dtype as string) !== 'string' && arg.dtype !== 'complex64') {
          throw new TensorkilnError(
            'E_DEVICE',
            `[compile] argument ${String(index)} of the step lives on another backend: expected a tensor of '${backend.name}'. ` +
              `Make it after tf.setBackend('${backend.name}'), or clone it there first.`,
          );
        }
        // A variable is captured as well when the step refers to it otherwise: each variable has plans of its own.
        const variable = arg instanceof tf.Variable ? ` variable ${String(arg.id)}` : '';
        const storage = backend.storageIfHere(arg);
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

function record<A extends StepArgument[], R extends StepResult>(
  addon: NativeAddon,
  state: SignatureState,
  stock: StockOptimizers,
  fn: (...args: A) => R,
  args: A,
  onFallback: CompileOptions['onFallback'],
): R {
  const { result, recording } = recordStep(addon, stock, fn, args, onFallback !== undefined);
  const previous = state.recording;
  let reason = recording instanceof TensorkilnError ? recording : undefined;
  if (!(recording instanceof TensorkilnError)) {
    state.recordings++;
    state.recording = recording;
    state.proven = previous?.fingerprint === recording.fingerprint;
    if (state.proven) {
      recording.calls.length = 0;
      recording.hostWrites.length = 0;
    }
    if (previous !== undefined && !state.proven) reason = whyNotReplayed(previous, recording, state.recordings);
  }
  if (previous !== undefined) addon.planDispose(previous.plan);
  if (reason === undefined) return result;
  if (!(recording instanceof TensorkilnError)) addon.planDispose(recording.plan);
  state.recording = undefined;
  state.recordings = 0;
  if (onFallback === undefined) {
    tf.dispose(result);
    throw reason;
  }
  state.isEager = true;
  onFallback(reason);
  return result;
}

/** Why two recordings of one signature that differ are no step; undefined when another recording may still settle it. */
function whyNotReplayed(previous: Recording, recording: Recording, count: number): TensorkilnError | undefined {
  // A first call may draw initial values; one that goes on drawing is no step.
  const random = hostRandomRefusal(recording);
  if (random !== undefined || count < MAX_RECORDINGS) return random;
  return new TensorkilnError(
    'E_RECORDING',
    `[compile] the step does not repeat itself, so it cannot be replayed. ${firstDifference(previous, recording)} ` +
      'Pass what changes as a tensor argument, or keep it in a variable.',
  );
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
    recording.assigned.forEach((variable, index) => {
      const value = handles[recording.outputs.length + index] as number;
      if (!variable.isDisposed) addon.assign(makeUnique(variable), value);
      addon.release(value);
    });
    countUpdates(recording.updates);
    const outputs = recording.outputs.map(({ shape, dtype, storage }, index) =>
      tensorFromHandle(handles[index] as number, shape, dtype, storage),
    );
    return recording.isArray ? outputs : (outputs[0] as tf.Tensor);
  } catch (error) {
    throw toTensorkilnError(error);
  }
}
