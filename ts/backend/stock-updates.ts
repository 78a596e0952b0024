/**
 * tfjs-core's own optimizers outside compiled steps. An update is a dozen small calls for each variable, each of which goes through
 * memory: from the third update of the same variables on it runs as a compiled step, the same calls fused and enqueued as one, with
 * the same bits.
 */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from './backend.js';
import { compile, type CompiledStep } from './plan.js';
import { stockClasses, type StockOptimizer } from './stock-optimizers.js';

type NamedGradients = Readonly<Record<string, tf.Tensor>>;

interface CompiledUpdate {
  readonly step: CompiledStep<tf.Tensor[], tf.Tensor[]>;
  readonly backend: TensorkilnBackend;
  readonly variables: readonly tf.Variable[];
  /** What the recorded calls hold as constants. */
  readonly settings: string;
  /** Set when the update cannot be recorded. */
  isPlain: boolean;
}

/** Updates that run as they stand: the first makes the optimizer's state, the second shows that there will be more. */
const PLAIN_UPDATES = 2;

/** What is known of an optimizer that is in use. */
class UpdatesOf {
  readonly #optimizer: StockOptimizer;
  #names = '';
  #seen = 0;
  #compiled: CompiledUpdate | undefined;

  constructor(optimizer: StockOptimizer) {
    this.#optimizer = optimizer;
  }

  get replays(): number {
    return this.#compiled?.step.statistics.replays ?? 0;
  }

  /** Runs an update as a compiled step; false when it is to run as it stands. */
  run(backend: TensorkilnBackend, gradients: NamedGradients): boolean {
    const names = Object.keys(gradients);
    const variables = names.map((name) => tf.engine().registeredVariables[name]);
    const compiled = this.#compiled;
    const isKnown =
      this.#names === names.join('\n') &&
      (compiled === undefined ||
        (compiled.backend === backend &&
          compiled.settings === settingsOf(this.#optimizer) &&
          variables.every((variable, i) => variable === compiled.variables[i])));
    // A tensor that lies elsewhere is moved by the plain update.
    const isHere = [...Object.values(gradients), ...variables].every(
      (tensor) => tensor !== undefined && backend.handleIfHere(tensor) !== undefined,
    );
    if (!isKnown || !isHere) {
      this.forget();
      this.#names = names.join('\n');
    }
    if (++this.#seen <= PLAIN_UPDATES || this.#compiled?.isPlain === true) return false;
    this.#compiled ??= this.#compile(backend, names, variables as tf.Variable[]);
    this.#compiled.step(...names.map((name) => gradients[name] as tf.Tensor));
    return true;
  }

  #compile(backend: TensorkilnBackend, names: readonly string[], variables: readonly tf.Variable[]): CompiledUpdate {
    const update = (...tensors: tf.Tensor[]): tf.Tensor[] => {
      this.#optimizer.applyGradients(Object.fromEntries(names.map((name, i) => [name, tensors[i]])));
      return [];
    };
    const onFallback = (): void => {
      if (this.#compiled !== undefined) this.#compiled.isPlain = true;
    };
    return { step: compile(update, { onFallback }), backend, variables, settings: settingsOf(this.#optimizer), isPlain: false };
  }

  /** Lets the plan go: the optimizer's state, or what it is recorded with, is replaced. */
  forget(): void {
    this.#compiled?.step.dispose();
    this.#compiled = undefined;
    this.#seen = 0;
  }
}

/** An optimizer's numbers and switches, without its rate, which plans follow, and its count of steps. */
function settingsOf(optimizer: StockOptimizer): string {
  const isSetting = ([name, value]: [string, unknown]): boolean =>
    (typeof value === 'number' || typeof value === 'boolean') && name !== 'learningRate' && name !== 'iterations_';
  return JSON.stringify(Object.entries(optimizer).filter(isSetting));
}

const known = new WeakMap<StockOptimizer, UpdatesOf>();
let isEnabled = true;

/** Whether updates may run as compiled steps; true unless set otherwise. */
export function setStockUpdates(enabled: boolean): void {
  isEnabled = enabled;
}

/** Updates of an optimizer that were replayed since its plan was made. */
export function replayedUpdates(optimizer: tf.Optimizer): number {
  return known.get(optimizer as unknown as StockOptimizer)?.replays ?? 0;
}

/** While profiling or debugging every kernel is to be seen; inside a compiled step the calls are part of that one. */
function mayCompile(backend: TensorkilnBackend): boolean {
  const { state } = tf.engine();
  return (
    isEnabled &&
    !backend.engine.addon.isRecording() &&
    !state.profiling &&
    state.gradientDepth === 0 &&
    !tf.env().getBool('DEBUG')
  );
}

/** The gradients by name, in order; undefined when one of them is missing. */
function byName(gradients: unknown): NamedGradients | undefined {
  const named = Array.isArray(gradients)
    ? Object.fromEntries(
        (gradients as readonly { readonly name: string; readonly tensor: tf.Tensor }[]).map(({ name, tensor }) => [
          name,
          tensor,
        ]),
      )
    : (gradients as NamedGradients);
  return Object.values(named).every((tensor) => tensor instanceof tf.Tensor) ? named : undefined;
}

/** Marks the methods that were put in place, so that a second load of this module leaves them alone. */
const MARK = Symbol.for('tensorkiln.stockUpdates');

/** Methods after which an optimizer's state, or what its updates are recorded with, is another. */
const REPLACING = ['setWeights', 'setMomentum', 'dispose'] as const;

/** Lets the stock optimizers run their updates as compiled steps, on our backends. */
export function compileStockUpdates(): void {
  for (const { prototype } of stockClasses()) {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called on the optimizer below
    const original = prototype.applyGradients;
    if (MARK in original) continue;
    const applyGradients = function (this: StockOptimizer, gradients: unknown): void {
      const backend = tf.backend();
      // What another backend does with the state, a plan does not see.
      if (!(backend instanceof TensorkilnBackend)) known.get(this)?.forget();
      else if (mayCompile(backend)) {
        const named = byName(gradients);
        let updates = known.get(this);
        if (updates === undefined) known.set(this, (updates = new UpdatesOf(this)));
        if (named !== undefined && updates.run(backend, named)) return;
      }
      original.call(this, gradients);
    };
    prototype.applyGradients = Object.assign(applyGradients, { [MARK]: true });
    const methods = prototype as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>;
    for (const name of REPLACING) {
      const method = methods[name];
      if (method === undefined || !Object.hasOwn(methods, name)) continue;
      methods[name] = function (this: StockOptimizer, ...args: unknown[]): unknown {
        known.get(this)?.forget();
        return method.apply(this, args);
      };
    }
  }
}
