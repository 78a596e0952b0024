/** docs/export.md: formats, and what each can express of every layer. */
import { ONNX_ACTIVATIONS } from '../export/onnx/activations.js';
import { ONNX_LAYER_TYPES } from '../export/onnx/layers.js';
import { TFJS_ACTIVATIONS } from '../export/tfjs/activations.js';
import { TFJS_LAYER_TYPES, TFJS_LIMITS, TFJS_REASONS } from '../export/tfjs/layers.js';
import { ACTIVATIONS } from '../nn/activations.js';
import { SCHEMA_TYPES } from '../nn/architecture-schema.js';
import { CONTAINERS } from './layers-page.js';

/** A row per layer type: what each format makes of it. @throws for a type that a format neither expresses nor gives a reason for */
export function formatsTable(): string {
  const rows = SCHEMA_TYPES.map((type) => {
    const isContainer = CONTAINERS.includes(type);
    const onnx = isContainer || ONNX_LAYER_TYPES.includes(type) ? 'yes' : undefined;
    const tfjs = isContainer || TFJS_LAYER_TYPES.includes(type) ? (TFJS_LIMITS[type] ?? 'yes') : reason(TFJS_REASONS[type]);
    if (onnx === undefined || tfjs === undefined)
      throw new Error(`layer '${type}': a format neither expresses it nor says why`);
    return `| \`${type}\` | yes | ${onnx} | ${tfjs} |`;
  });
  return ['| layer | safetensors | ONNX, opset 17 | tfjs LayersModel |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

const reason = (why: string | undefined): string | undefined => (why === undefined ? undefined : `no: ${why}`);

/** A row per activation function. */
export function activationsTable(): string {
  const mark = (names: readonly string[], name: string): string => (names.includes(name) ? 'yes' : 'no');
  const rows = ACTIVATIONS.map((name) => `| \`${name}\` | ${mark(ONNX_ACTIVATIONS, name)} | ${mark(TFJS_ACTIVATIONS, name)} |`);
  return ['| activation | ONNX | tfjs |', '| --- | --- | --- |', ...rows].join('\n');
}

export const EXPORT_PAGE = `<!-- Made by \`npm run docs\` from ts/cli/export-page.ts and the tables of ts/export: change those. -->

# Export and prediction

A run leaves its model as ONNX and safetensors in \`export/\`. \`tensorkiln export <run> --format tfjs|onnx|onnx-pipeline|safetensors\` writes any of the formats later; \`exportModel\` and \`exportRunAs\` do the same from code, \`exportModel(model, { format: 'onnx', path })\` for any model at hand.

Every export is checked before the file gets its name: safetensors is read back and compared, ONNX runs in onnxruntime-web and a tfjs model in tfjs-layers on probe rows, whose outputs must agree within 1e-4 of the largest of a row. A run is checked on rows of its own data or on made-up ones, a model at hand on rows made up for it: batches of 5 rows (fewer for large inputs) and of one, and another length where lengths are free. Where the package for the check is not installed, the result says so and why. A layer or option that a format cannot express is named with its path in the error, and nothing is written. A tfjs model is a folder: an earlier export there is replaced, a folder with anything else in it is refused.

## What a file says

| format                   | path                       | input                                              | output                                                                   |
| ------------------------ | -------------------------- | -------------------------------------------------- | ------------------------------------------------------------------------ |
| ONNX                     | \`export/model.onnx\`        | \`features\` [N, ...], or \`tokens\` [N, T] int32      | \`probabilities\` [N, C], or \`prediction\` [N, 1] in the unit of the target |
| ONNX with preprocessing  | \`export/pipeline.onnx\`     | the columns, [N, 1] each, or \`image\` [N, H, W, C] uint8 | as ONNX                                                             |
| tfjs                     | \`export/tfjs/model.json\`   | \`input\` [N, ...]                                   | the same; class names under \`userDefinedMetadata\`                        |
| safetensors              | \`export/model.safetensors\` | weights and architecture; \`loadPredictor\` reads it | logits, or the scaled target                                             |

\`features\` are what \`export/preprocessing.json\` makes of a table: imputation, encodings and scaling, with the names of the features in order. For \`model.onnx\` and tfjs models the preprocessing stands beside; \`Preprocessor.fromJSON\` of \`tensorkiln/data\` applies it. A model of tokens has \`model.vocabulary.json\` beside it: how a text is cut into words or characters, the length of the rows, and the number of each token, 0 being padding and 1 a token that is not in it. A language model is exported as \`tokens\` [N, T] to \`logits\` [N, T, V]: scores of the next character at each place; its characters stand in the same file.

\`--format onnx-pipeline\` puts the preprocessing inside. The inputs are then the columns of the table under their names, [N, 1] each: numbers as float32 with NaN for a missing one, everything else as text, trimmed, with one of the run's \`na_values\` for a missing one (\`''\` is one unless the configuration lists others; else it is a category like any other, as in \`predict\`); categories that are numbers are spelled the shortest way (\`1\`, not \`1.0\`). Numeric, boolean, one-hot, label and target encodings and principal components can be expressed; a column with dates, texts or hashed categories is named in the error. Besides opset 17 the file uses LabelEncoder of \`ai.onnx.ml\` 2. For images the input is their bytes, channels last, already of the model's size. It is checked on made-up rows with missing and unknown cells.

## ONNX

Any acyclic graph: several inputs and outputs, merges, ways round, layers that are used twice. Weights that are shared stand in the file once. Inputs keep the names they have in the model, outputs are \`output\`, \`output_1\`, ...; numbers are float32, tokens int32, masks bool. The batch is free (\`N\`), and the length of sequences (\`T\`) where no layer depends on it; \`lengths: 'fixed'\` pins it to the model's. Recurrent layers are ONNX's own LSTM, GRU and RNN; a mask may hide any places, in any order. Attention is written out as products and a softmax. Layers for training alone (dropout, noise) are left out. Weights over 2 GiB are refused: protobuf cannot hold them, safetensors can.

## What each format can express

Every line of this table is tested: the layer runs in onnxruntime-web and, where it says so, in stock tfjs-layers on the stock CPU backend, beside our own output (\`tests/export/onnx-nn.test.ts\`, within 1e-5 of a row's largest value; \`tests/tfjs/export.test.ts\`, within 2e-5), as do the architectures of the zoo: all of them in ONNX; in tfjs the mlp, dnn, cnn, lenet and resnets.

FORMATS

ACTIVATIONS

Layers of your own are refused by name. In tfjs, layers over sequences and volumes, norms and positions that tfjs-layers lacks are made of several of its layers; sequences have the length that the model was built for. Exported tfjs models can be trained further.

## Predicting files

\`\`\`sh
tensorkiln predict runs/penguins new.csv --output predictions.parquet --keep id
tensorkiln predict runs/penguins new.jsonl > predictions.csv
tensorkiln predict runs/cats folder-of-images --output labels.jsonl
tensorkiln predict runs/reviews folder-of-texts --output labels.csv   # or texts.tar.gz
\`\`\`

CSV, JSON Lines and Parquet in and out, chosen by the ending; rows go through part by part and keep their order, so the size of the file does not matter. The output gets its name when it is whole; on stdout, \`| head\` ends the prediction quietly. From a folder of images, or a folder or .tar.gz of texts, comes a row a file, whether it lies in a folder of its class or not, with its path first (\`file\` for images, \`path\` for texts). Columns: those kept, \`prediction\`, and for a classifier \`probability_<class>\`. In Parquet the numeric columns of training, columns of numbers from JSON Lines or Parquet, probabilities and predicted numbers are float64; all other cells, classes included, are text as it was.

| the input                         | what happens                                                                                                                   |
| --------------------------------- | ------------------------------------------------------------------------------------------------------------------------------ |
| lacks a column of training        | E_DATA naming it, and the nearest name there is                                                                                |
| has further columns               | passed over, and listed at the end                                                                                             |
| is JSON Lines with sparse keys    | a key that a line lacks is a missing cell; a column that no line has is an error before anything is written                                  |
| has columns in another order      | found by name                                                                                                                  |
| has a missing cell                | imputed as in training; the run's \`na_values\` count as missing                                                                 |
| has a cell of another type        | read as the type of training where it can be (\`"2"\` as 2), else E_DATA with line and one masked cell                           |
| has a category unseen in training | counts as none of the known; the rows are counted by column                                                                    |
| is a CSV file                     | read as the data of the run was (delimiter, header, decimal sign, replacements); \`--sniff\` finds out how it is written instead |

Columns kept are written as they are, but for missing cells, which are written empty (null in JSON Lines) however they were spelled, and for columns that the model reads, which are written as it reads them: with \`data.replace\` applied and, where they are numeric, as numbers. A column cannot be kept under the name of a prediction.

\`predictFile\` does this from code; \`loadPredictor(run).predict(rows)\` predicts rows at hand by the same rules.
`;
