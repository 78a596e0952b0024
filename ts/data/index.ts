/** From files to datasets: tables, column inference, splits, preprocessing. Needs no backend. */
export { decideColumns, MAX_CATEGORIES, type ColumnDecisions, type ColumnReport, type FeatureType } from './columns.js';
export type { Dataset } from './dataset.js';
export { POOL_FROM_CELLS, type MatrixFillerOptions } from './matrix-filler.js';
export {
  prepareData,
  type DataConfig,
  type DataCounts,
  type DataEvent,
  type PartName,
  type PrepareOptions,
  type PreparedData,
} from './prepare.js';
export {
  DEFAULT_PREPROCESSING,
  type CategoricalImputation,
  type NumericImputation,
  type PreprocessingOptions,
  type Scaling,
} from './preprocessing-options.js';
export {
  Preprocessor,
  type ColumnEncoding,
  type NumericEncoding,
  type OneHotEncoding,
  type SavedPreprocessor,
} from './preprocessor.js';
export { SeededRandom } from './random.js';
export {
  DEFAULT_NA_VALUES,
  openTable,
  type ColumnProfile,
  type ColumnRequest,
  type OpenTableOptions,
  type TableSource,
} from './read-table.js';
export { splitRows, type Split, type SplitOptions } from './split.js';
export { categoricalColumn, numericColumn, Table, type CategoricalColumn, type Column, type NumericColumn } from './table.js';
