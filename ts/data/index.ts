/** From files to datasets: tables, column inference, splits, preprocessing, images. Needs no backend. */
export {
  decideColumns,
  MAX_CATEGORIES,
  type ColumnDecisions,
  type ColumnReport,
  type ColumnType,
  type DecideOptions,
  type Task,
} from './columns.js';
export { DEFAULT_SPLIT } from './check-config.js';
export { DEFAULT_NA_VALUES } from './csv/read-csv.js';
export type { CsvOptions } from './csv/dialect.js';
export type { Dataset } from './dataset.js';
export type { CategoricalEncoding, FeatureOptions, FeatureType, TextOptions } from './feature-options.js';
export { POOL_FROM_CELLS } from './matrix-filler.js';
export type { ImageTransform } from './images/augment.js';
export { ImageBatches, plainImages, type ImageBatch, type ImageBatchesOptions } from './images/image-batches.js';
export { readImageFiles, type ImageFileBatch, type ImageFilesOptions } from './images/image-files.js';
export { readImageArrays, readImageFolder, type ImageFolderOptions, type ImageSet } from './images/image-set.js';
export {
  prepareImages,
  type ImageConfig,
  type ImageInput,
  type ImageScale,
  type ImageSplit,
  type PreparedImages,
  type PrepareImagesOptions,
} from './images/prepare-images.js';
export type { OutlierOptions, OutlierReport } from './outliers.js';
export type { Fold, SplitConfig } from './partition.js';
export {
  prepareData,
  type ColumnTreatment,
  type DataConfig,
  type DataCounts,
  type DataEvent,
  type PartName,
  type PrepareOptions,
  type PreparedData,
  type TargetScale,
} from './prepare.js';
export {
  DEFAULT_PREPROCESSING,
  type CategoricalImputation,
  type NumericImputation,
  type PcaOptions,
  type PreprocessingOptions,
  type Scaling,
} from './preprocessing-options.js';
export { Preprocessor, type FeatureBlock, type FeatureColumn, type FitOptions, type InputReport } from './preprocessor.js';
export type { ColumnEncoding, NumericEncoding, OneHotEncoding, PcaEncoding, SavedPreprocessor } from './encodings/schemas.js';
export { profileTable, type ColumnProfile } from './profile.js';
export { SeededRandom } from './random.js';
export { encodeText, prepareText, type PreparedText, type TextConfig } from './text-corpus.js';
export { writeParquetFromCsv, type ParquetColumnType } from './formats/parquet.js';
export { readTableParts, STREAMED_FORMATS, type ReadPartsOptions } from './read-parts.js';
export type { TablePart } from './csv/read-csv.js';
export { asCategories, asNumbers, isAllNumbers } from './cast.js';
export { holdsPassword, shownPath } from './formats/connection-url.js';
export { formatOf, inferFormat, readTable, type ReadTableOptions, type TableFormat, type TableInput } from './read-table.js';
export { groupedKFold, kFold, splitByGroup, splitByTime } from './split-methods.js';
export { splitRows, type Split, type SplitOptions, type SplitShares } from './split.js';
export { categoricalColumn, numericColumn, Table, type CategoricalColumn, type Column, type NumericColumn } from './table.js';
export { columnTable } from './treatment.js';
export type { CheckLevel, DataCheck, DataVerdict } from './verdict.js';
export { WorkerPool } from './worker-pool.js';
