/**
 * tfjs-core's own optimizers outside compiled steps. An update is a dozen small calls for each variable, each of which goes through
 * memory: from the third update of the same variables on it runs as a compiled step, the same calls fused and enqueued as one, with
 * the same bits.
 */
import * as tf from '@tensorflow/tfjs-core';
import { TensorkilnBackend } from './backend.js';
import { compile, type CompiledStep } from './plan.js';
import { applyWatched, stockClasses, type StockOptimizer } from './stock-optimizers.js';

/** In the order of the optimizer's accumulators. */
type NamedGradients = readonly { readonly name: string; readonly tensor: tf.Tensor }[];

type ApplyGradients = StockOptimizer['applyGradients'];

interface CompiledUpdate {
  readonly step: CompiledStep<tf.Tensor[], tf.Tensor[]>;
  readonly backend: TensorkilnBackend;
  readonly variables: readonly tf.Variable[];
  /** What the recorded calls hold as constants. */
  readonly settings: string;
  /** The optimizer's own tensors, which the recorded calls read and update. */
  readonly state: readonly unknown[];
  /** Set when the update cannot be recorded. */
  isPlain: boolean;
}

/** Updates that run as they stand: the first makes the optimizer's state, the second shows that there will be more. */
const PLAIN_UPDATES = 2;

/** What is known of an optimizer that is in use. */
class UpdatesOf {
  readonly #optimizer: StockOptimizer;
  readonly #original: ApplyGradients;
  #names = '';
  #seen = 0;
  #compiled: CompiledUpdate | undefined;

  /** @param original tfjs-core's own method: the optimizer's may be a program's that does more, and calls this one */
  constructor(optimizer: StockOptimizer, original: ApplyGradients) {
    this.#optimizer = optimizer;
    this.#original = original;
  }

  get replays(): number {
    return this.#compiled?.step.statistics.replays ?? 0;
  }

  /** Runs an update as a compiled step; false when it is to run as it stands. */
  run(backend: TensorkilnBackend, gradients: NamedGradients): boolean {
    const names = gradients.map(({ name }) => name);
    const tensors = gradients.map(({ tensor }) => tensor);
    const variables = names.map((name) => tf.engine().registeredVariables[name]);
    const compiled = this.#compiled;
    const isKnown =
      this.#names === names.join('\n') &&
      (compiled === undefined ||
        (compiled.backend === backend &&
          compiled.settings === settingsOf(this.#optimizer) &&
          isSame(variables, compiled.variables) &&
          isSame(stateOf(this.#optimizer), compiled.state)));
    // A tensor that lies elsewhere is moved by the plain update.
    const isHere = [...tensors, ...variables].every(
      (tensor) => tensor !== undefined && backend.handleIfHere(tensor) !== undefined,
    );
    if (!isKnown || !isHere) {
      this.forget();
      this.#names = names.join('\n');
    }
    if (++this.#seen <= PLAIN_UPDATES || this.#compiled?.isPlain === true) return false;
    this.#compiled ??= this.#compile(backend, names, variables as tf.Variable[]);
    this.#compiled.step(...tensors);
    return true;
  }

  #compile(backend: TensorkilnBackend, names: readonly string[], variables: readonly tf.Variable[]): CompiledUpdate {
    const update = (...tensors: tf.Tensor[]): tf.Tensor[] => {
      applyWatched(this.#optimizer, () => {
        this.#original.call(
          this.#optimizer,
          names.map((name, i) => ({ name, tensor: tensors[i] })),
        );
      });
      return [];
    };
    const onFallback = (): void => {
      if (this.#compiled !== undefined) this.#compiled.isPlain = true;
    };
    return {
      step: compile(update, { onFallback }),
      backend,
      variables,
      settings: settingsOf(this.#optimizer),
      state: stateOf(this.#optimizer),
      isPlain: false,
    };
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

/** The tensors in which an optimizer keeps its state; without `c`, the kept rate, which plans follow. */
function stateOf(optimizer: StockOptimizer): unknown[] {
  return Object.entries(optimizer).flatMap(([name, value]: [string, unknown]) => {
    if (Array.isArray(value)) return value.map((one: unknown) => (one as { variable?: unknown } | null)?.variable);
    return value instanceof tf.Tensor && name !== 'c' ? [value] : [];
  });
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

/** Whether the rate is a number that can be watched while a plan is made; a program may have put a getter in its place. */
function hasPlainRate(optimizer: StockOptimizer): boolean {
  const declared = Object.getOwnPropertyDescriptor(optimizer, 'learningRate');
  return declared?.configurable === true && 'value' in declared;
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

/** The gradients with their names, in order; undefined when one of them is missing or a variable comes twice. */
function byName(gradients: unknown): NamedGradients | undefined {
  const named = Array.isArray(gradients)
    ? (gradients as NamedGradients)
    : Object.entries(gradients as Readonly<Record<string, tf.Tensor>>).map(([name, tensor]) => ({ name, tensor }));
  if (new Set(named.map(({ name }) => name)).size < named.length) return undefined;
  return named.every(({ tensor }) => tensor instanceof tf.Tensor) ? named : undefined;
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
      else if (mayCompile(backend) && hasPlainRate(this)) {
        const named = byName(gradients);
        let updates = known.get(this);
        if (updates === undefined) known.set(this, (updates = new UpdatesOf(this, original)));
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
