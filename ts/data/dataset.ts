/** Rows ready for training: dense float32 features and targets, in memory. */
export interface Dataset {
  /** Number of rows. */
  readonly size: number;
  /** Shape of one row's features, e.g. [9] or [28, 28, 1]. */
  readonly featureShape: readonly number[];
  /** [size, ...featureShape], row-major. */
  readonly features: Float32Array;
  /** Class index per row for classification; value(s) per row for regression. */
  readonly targets: Int32Array | Float32Array;
  /** Shape of one row's target: [] for a class index or a single value. */
  readonly targetShape: readonly number[];
}
