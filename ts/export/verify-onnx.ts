import { TensorkilnError } from '../errors.js';
import { importOptional } from '../optional-package.js';
import { largestRowError } from './row-error.js';

/** Rows and what the model in memory makes of them; both row-major float32. */
export interface OnnxProbe {
  /** [rows, ...inputShape] */
  readonly features: Float32Array;
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
  const feeds = (inputName: string): Feeds => ({
    [inputName]: new runtime.Tensor('float32', probe.features, [rows, ...options.inputShape]),
  });
  return judge(await runModel(runtime, bytes, feeds), probe.outputs, rows, options.tolerance ?? TOLERANCE);
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
  return judge(await runModel(runtime, bytes, feeds), probe.outputs, rows, TOLERANCE);
}

/** @throws E_EXPORT when the outputs differ by more than `tolerance` */
function judge(actual: Float32Array, expected: Float32Array, rows: number, tolerance: number): OnnxVerification {
  const largestError = largestRowError(actual, expected, rows);
  if (largestError <= tolerance) return { verified: true, rows, largestError };
  throw new TensorkilnError(
    'E_EXPORT',
    `[onnx] the exported model differs from the model in memory: expected at most ${tolerance} of a row's largest ` +
      `magnitude, got ${largestError} over ${rows} rows.`,
  );
}

type Feeds = Readonly<Record<string, import('onnxruntime-web').Tensor>>;
type Runtime = typeof import('onnxruntime-web');

async function runModel(runtime: Runtime, bytes: Uint8Array, feeds: (firstInput: string) => Feeds): Promise<Float32Array> {
  // One thread: more would start workers that outlive the check.
  runtime.env.wasm.numThreads = 1;
  try {
    const session = await runtime.InferenceSession.create(bytes, {
      executionProviders: ['wasm'],
      logSeverityLevel: FATAL_ONLY,
    });
    try {
      const [inputName] = session.inputNames;
      const [outputName] = session.outputNames;
      if (inputName === undefined || outputName === undefined) throw new Error('the model has no input or no output');
      const outputs = await session.run(feeds(inputName));
      const data = outputs[outputName]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`output '${outputName}' is not float32`);
      return data;
    } finally {
      await session.release();
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new TensorkilnError('E_EXPORT', `[onnx] ${PACKAGE} cannot run the exported model: ${text}`, { cause: error });
  }
}
