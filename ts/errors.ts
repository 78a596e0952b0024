/** Every error code of the package, with what it means. docs/errors.md lists the same codes; a test compares them. */
export const ERROR_CODES = {
  E_USAGE: 'The command line or the arguments of a call are wrong.',
  E_CONFIG: 'A configuration file, option or environment variable has an invalid key or value.',
  E_DATA: 'Input data cannot be read or cannot be used for what was asked.',
  E_SHAPE: 'Shapes do not fit together.',
  E_DTYPE: 'A dtype is not supported here.',
  E_INDEX: 'An index lies outside its range.',
  E_DISPOSED: 'A tensor, plan or backend was used after it had been disposed.',
  E_OUT_OF_MEMORY: 'An allocation would exceed the memory budget.',
  E_RECORDING: 'Something was done inside a recorded step that a replay could not repeat.',
  E_NATIVE_LOAD: 'The native addon could not be loaded.',
  E_NATIVE_VERSION: 'The native addon belongs to another version of the package.',
  E_DEVICE: 'The device asked for is not available.',
  E_DEVICE_LOST: 'A GPU failed and cannot be used again by this process.',
  E_KERNEL: 'The backend has no such kernel.',
  E_DUPLICATE_TFJS: 'Two copies of @tensorflow/tfjs-core are loaded.',
  E_DIVERGED: 'Training produced a loss that is not a finite number.',
  E_IO: 'A file or folder cannot be read or written.',
  E_EXPORT: 'A model cannot be expressed in the format asked for, or its export failed verification.',
  E_ABORTED: 'The operation was cancelled by its caller or by a signal.',
  E_CLOSED: 'The engine of this environment has been closed.',
  E_INTERNAL: 'A broken promise inside the package: a defect to report.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * The one error class of the package.
 *
 * Text: `[place] what was wrong: expected ..., got .... Way out.` `code` is stable and documented; `cause` carries the error underneath.
 */
export class TensorkilnError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TensorkilnError';
    this.code = code;
  }
}

/** Whether `error` carries one of our codes, whichever copy of the class made it. */
export function isTensorkilnError(error: unknown): error is TensorkilnError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code in ERROR_CODES;
}

/** The code of an error of ours; anything else is a defect. */
export function errorCodeOf(error: unknown): ErrorCode {
  return isTensorkilnError(error) ? error.code : 'E_INTERNAL';
}
