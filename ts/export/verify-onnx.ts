import { TensorkilnError } from '../errors.js';
import { importOptional } from '../optional-package.js';
import type { ModelProbe, ProbeInput } from './probe.js';
import { largestRowError } from './row-error.js';

/** Rows and what the model in memory makes of them; row-major. */
export interface OnnxProbe {
  /** [rows, ...inputShape]; for tokens and bytes whole numbers, in any form */
  readonly features: Float32Array | Int32Array | Uint8Array;
  /** [rows, ...outputShape] */
  readonly outputs: Float32Array;
}

/** What checking an exported model found. A model that failed the check is an error, not a value. */
export type OnnxVerification =
  | {
      readonly verified: true;
      /** Rows compared. */
      readonly rows: number;
      /** Largest difference found in a row, relative to that row's largest magnitude. */
      readonly largestError: number;
    }
  | { readonly verified: false; readonly reason: string };

export interface VerifyOnnxOptions {
  /** Shape of one row of the probe's features. */
  readonly inputShape: readonly number[];
  /** Default float32. */
  readonly inputDType?: ProbeInput['dtype'];
  /** Allowed difference in a row, relative to the row's largest magnitude; default 1e-4, float32 sums in another order. */
  readonly tolerance?: number;
}

const PACKAGE = 'onnxruntime-web';
/** float32 sums in another order, relative to the largest magnitude of a row. */
const TOLERANCE = 1e-4;
/** The runtime prints nothing of its own; what fails is thrown anyway. */
const FATAL_ONLY = 4;

/**
 * Runs an ONNX model with one input and one output in onnxruntime-web and compares it with known outputs row by row.
 *
 * @returns the largest error, or the reason why nothing could be checked: the optional package is absent
 * @throws E_EXPORT when the runtime refuses the model, or a row differs by more than `tolerance` or is not finite where
 *         the expected one is; E_SHAPE when the probe has no rows or does not fit `inputShape`
 */
export async function verifyOnnx(bytes: Uint8Array, probe: OnnxProbe, options: VerifyOnnxOptions): Promise<OnnxVerification> {
  const rowSize = options.inputShape.reduce((product, size) => product * size, 1);
  const rows = probe.features.length / rowSize;
  if (!Number.isInteger(rows) || rows === 0 || probe.outputs.length === 0 || probe.outputs.length % rows !== 0) {
    throw new TensorkilnError(
      'E_SHAPE',
      `[onnx] probe does not fit the model: expected rows of ${rowSize} features and as many rows of outputs, got ` +
        `${probe.features.length} features and ${probe.outputs.length} outputs.`,
    );
  }
  const runtime = await importOptional(PACKAGE, () => import('onnxruntime-web'));
  if (runtime === undefined) {
    return { verified: false, reason: `${PACKAGE} is not installed (npm install ${PACKAGE})` };
  }
  const { inputDType: dtype = 'float32', tolerance = TOLERANCE } = options;
  const { features: data } = probe;
  const input = { name: '', dtype, shape: [rows, ...options.inputShape], data };
  const feeds = (inputName: string): Feeds => ({ [inputName]: tensorOf(runtime, input) });
  return await withSession(runtime, bytes, async (session) => {
    const [actual] = await runModel(session, feeds(session.inputNames[0] ?? ''));
    return judge(actual, probe.outputs, rows, tolerance);
  });
}

/**
 * Runs an ONNX model on several probes, and compares all its outputs row by row.
 *
 * @param inputNames  names in the file by those in the probes
 * @returns           as verifyOnnx, over all probes
 */
export async function verifyOnnxProbes(
  bytes: Uint8Array,
  probes: readonly ModelProbe[],
  inputNames: ReadonlyMap<string, string>,
): Promise<OnnxVerification> {
  const runtime = await importOptional(PACKAGE, () => import('onnxruntime-web'));
  if (runtime === undefined) return { verified: false, reason: `${PACKAGE} is not installed (npm install ${PACKAGE})` };
  return await withSession(runtime, bytes, async (session) => {
    let [rows, largestError] = [0, 0];
    for (const probe of probes) {
      const feeds = Object.fromEntries(
        probe.inputs.map((input) => [inputNames.get(input.name) ?? input.name, tensorOf(runtime, input)]),
      );
      const outputs = await runModel(session, feeds);
      probe.outputs.forEach((expected, index) => {
        const result = judge(outputs[index], expected, probe.rows, TOLERANCE);
        if (result.verified) largestError = Math.max(largestError, result.largestError);
      });
      rows += probe.rows;
    }
    return { verified: true, rows, largestError };
  });
}

function tensorOf(runtime: Runtime, { dtype, data, shape }: ProbeInput): OrtTensor {
  switch (dtype) {
    case 'float32':
      return new runtime.Tensor('float32', Float32Array.from(data), shape);
    case 'int32':
      return new runtime.Tensor('int32', Int32Array.from(data), shape);
    case 'uint8':
      return new runtime.Tensor('uint8', Uint8Array.from(data), shape);
    case 'bool':
      return new runtime.Tensor('bool', Uint8Array.from(data), shape);
  }
}

/** Rows of a table, column by column, and what the model in memory makes of them. */
export interface OnnxTableProbe {
  /** NaN and '' stand for missing cells. */
  readonly columns: Readonly<Record<string, Float32Array | readonly string[]>>;
  /** [rows, ...outputShape] */
  readonly outputs: Float32Array;
}

/**
 * Runs an ONNX model whose inputs are the columns of a table, and compares it with known outputs row by row.
 *
 * @returns the largest error, or the reason why nothing could be checked: the optional package is absent
 * @throws E_EXPORT when the runtime refuses the model, or a row differs by more than 1e-4 of its largest magnitude
 */
export async function verifyOnnxTable(bytes: Uint8Array, probe: OnnxTableProbe): Promise<OnnxVerification> {
  const runtime = await importOptional(PACKAGE, () => import('onnxruntime-web'));
  if (runtime === undefined) return { verified: false, reason: `${PACKAGE} is not installed (npm install ${PACKAGE})` };
  const rows = Object.values(probe.columns)[0]?.length ?? 0;
  const feeds = (): Feeds =>
    Object.fromEntries(
      Object.entries(probe.columns).map(([name, cells]) => [
        name,
        cells instanceof Float32Array
          ? new runtime.Tensor('float32', cells, [rows, 1])
          : new runtime.Tensor('string', [...cells], [rows, 1]),
      ]),
    );
  return await withSession(runtime, bytes, async (session) => {
    const [actual] = await runModel(session, feeds());
    return judge(actual, probe.outputs, rows, TOLERANCE);
  });
}

/** @throws E_EXPORT when the outputs differ by more than `tolerance` */
function judge(actual: Float32Array | undefined, expected: Float32Array, rows: number, tolerance: number): OnnxVerification {
  const largestError = actual === undefined ? Infinity : largestRowError(actual, expected, rows);
  if (largestError <= tolerance) return { verified: true, rows, largestError };
  throw new TensorkilnError(
    'E_EXPORT',
    `[onnx] the exported model differs from the model in memory: expected at most ${tolerance} of a row's largest ` +
      `magnitude, got ${largestError} over ${rows} rows.`,
  );
}

type OrtTensor = import('onnxruntime-web').Tensor;
type Feeds = Readonly<Record<string, OrtTensor>>;
type Runtime = typeof import('onnxruntime-web');
type Session = import('onnxruntime-web').InferenceSession;

/** Loads a model for as long as it is used; what fails is an E_EXPORT. */
async function withSession<T>(runtime: Runtime, bytes: Uint8Array, use: (session: Session) => Promise<T>): Promise<T> {
  // One thread: more would start workers that outlive the check.
  runtime.env.wasm.numThreads = 1;
  try {
    const session = await runtime.InferenceSession.create(bytes, {
      executionProviders: ['wasm'],
      logSeverityLevel: FATAL_ONLY,
    });
    try {
      return await use(session);
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof TensorkilnError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new TensorkilnError('E_EXPORT', `[onnx] ${PACKAGE} cannot run the exported model: ${text}`, { cause: error });
  }
}

/** The outputs in their order, as float32. */
async function runModel(session: Session, feeds: Feeds): Promise<readonly Float32Array[]> {
  const outputs = await session.run(feeds);
  return session.outputNames.map((name) => {
    const data = outputs[name]?.data;
    if (data instanceof Float32Array) return data;
    if (data instanceof Int32Array || data instanceof Uint8Array) return Float32Array.from(data);
    throw new Error(`output '${name}' is neither of numbers nor of truth values`);
  });
}
