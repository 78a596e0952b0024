/** The pages and files that are made from schema and commands: `npm run docs` writes them, a test compares them. */
import { architectureJsonSchema, ARCHITECTURE_SCHEMA_FILE } from '../nn/architecture-schema.js';
import { configJsonSchema, configTables, SCHEMA_FILE } from '../run/config/reference.js';
import { activationsTable, EXPORT_PAGE, formatsTable } from './export-page.js';
import { LAYERS_PAGE, layersTable } from './layers-page.js';
import { createProgram } from './program.js';
import { commandPages } from './reference.js';

/** File name from the package's root, and content before formatting. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    'docs/config.md': CONFIG_PAGE.replace('TABLES', () => configTables()),
    'docs/layers.md': LAYERS_PAGE.replace('TABLE', () => layersTable()),
    'docs/export.md': EXPORT_PAGE.replace('FORMATS', () => formatsTable()).replace('ACTIVATIONS', () => activationsTable()),
    'docs/cli.md': CLI_PAGE.replace('COMMANDS', () => commandPages(createProgram('0'))),
    [SCHEMA_FILE]: `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    [ARCHITECTURE_SCHEMA_FILE]: `${JSON.stringify(architectureJsonSchema(), null, 2)}\n`,
  };
}

const CONFIG_PAGE = `<!-- Made by \`npm run docs\` from ts/run/config and ts/cli/docs.ts: change those. -->

# Configuration of a training run

\`tensorkiln train <config>\` reads a YAML file. Only \`data.path\` and, for a table, \`data.target\` have to be there. Unknown keys, keys that stand twice, wrong types, keys that exclude each other and options of another choice are refused before any work, with file, line and column. \`tensorkiln render <config>\` prints what a run would use, with a reason for every "auto".

An editor that knows JSON Schema completes and checks keys; the first line of the file names the schema:

\`\`\`yaml
# yaml-language-server: $schema=./node_modules/tensorkiln/${SCHEMA_FILE}
\`\`\`

Paths in a file are relative to its folder, paths from the command line to the working directory.

## Several files

\`\`\`yaml
defaults:
  - base # base.yaml beside this file
  - model: small # model/small.yaml, under the key model
  - optional training: laptop # may be missing
  - _self_ # this file; last unless it stands elsewhere

data: { path: table.csv, target: species }
model: model-architecture.json # or a section; as Sequential.toJSON writes it, or the section alone
targets: evaluation-metrics.yaml # or a section
\`\`\`

As in Hydra, later entries win, sections are merged key by key, lists are replaced as a whole, \`override group: choice\` changes what an included file chose, and \`group: null\` is no choice. Packages (\`group@package\`) and interpolation are not built.

## From the command line

| \`--set\` | meaning |
| --- | --- |
| \`training.epochs=50\` | change a key; the value is YAML, such as \`model.hidden_units=[64, 32]\` |
| \`+training.max_time=1h\` | a key that is not there yet |
| \`++training.epochs=50\` | either |
| \`~training.scheduler\` | take a key away; \`~key=value\` only if it has that value |
| \`model=big\` | another choice for the group \`model\` of the defaults list; \`+model=big\` adds it, \`~model\` takes it away |

## Keys

TABLES

## Columns

A column whose present cells are all numbers is numeric, other text is categorical and coded one-hot. Left out, and said so in the report: empty and constant columns, identifiers (all cells differ, and they are text, count up without a gap, or have an identifier's name) and text with more than 100 categories. Imputation, categories and scaling are learned from the training part alone. A category never seen there becomes zeros.

## Tasks

| data | task | settings that matter |
| --- | --- | --- |
| a table whose target is a class | classification | \`training.class_weights\`, \`training.loss: focal\` for rare classes |
| a table whose target is a number | regression | \`preprocessing.target_scaling\`; RMSE, MAE and R2 are in the unit of the target |
| \`data.labels\` beside an IDX or npy file, or \`data.image\` beside a folder | classes of images | \`augmentation\`, \`model.architecture: cnn\`; \`preprocessing.scaling\` goes by channel |
| a text folder, \`.tar.gz\` of one, or a column of type text | classes of texts | \`features.<column>.text.encoding\`: \`bag\` for mlp, \`sequence\` for bilstm-classifier, transformer-encoder or layers that begin with an embedding |
| a running text, \`data.format: text\` or \`model.architecture: gpt\` | language model | \`data.context_length\`; perplexity, bits per character and accuracy beside counts of characters and pairs; \`tensorkiln generate\` writes with it |
| rows with a time | either | \`split.method: time\`, \`split.by\` |

## What a run writes

| file | content |
| --- | --- |
| \`report.html\` | the page to look at; needs nothing else |
| \`report.md\` | the same as text |
| \`training_curves.svg\` | the learning curves as a picture |
| \`metrics.json\` | every figure of \`test\`, \`validation\` and \`baselines\`, with \`intervals\`, \`curves\`, \`targets\` and \`verdict\`; written last |
| \`training_history.json\` | losses of every epoch, with processor time and memory; the best epoch, why training ended |
| \`config.resolved.yaml\` | what repeats the run |
| \`model-architecture.json\` | the layers with everything decided, without weights; may be named as \`model\` of another configuration |
| \`run.json\` | commit, lock file, versions, seeds, data and machine; \`forced\`, whether its data had failed the validation |
| \`checkpoints/\` | what \`tensorkiln resume\` goes on from, and \`best.safetensors\` |
| \`export/model.onnx\` | \`features\` [N, ...] to \`probabilities\` [N, C] or \`prediction\` [N, 1], checked in onnxruntime-web where installed; not there when ONNX cannot express a layer, which is then named |
| \`export/model.safetensors\` | weights and architecture; what \`loadPredictor\` reads |
| \`export/preprocessing.json\` | what turns table columns into \`features\`, and the class names |
| \`log.jsonl\` | one line per event |
| \`tensorboard/\` | event files, with \`logging.tensorboard\`: \`tensorboard --logdir <folder>\` |

Every file is written whole or not at all. The folder belongs to one run at a time (\`run.lock\` names its process); the lock of a process that is gone is taken over. A run that has not ended is never overwritten: it is resumed, or another folder is used. A new run in the folder of a finished one removes that one's files just before it writes its own configuration; only the record of looks at the test rows stays, and whatever no run wrote.
`;

const CLI_PAGE = `<!-- Made by \`npm run docs\` from the commands and ts/cli/docs.ts: change those. -->

# Command line

COMMANDS

## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | something failed: data, disk, device |
| 2 | a wrong command line or configuration, a folder that another run has, a resume that does not fit |
| 3 | everything ran, but a target is missed or a run could not be reproduced |
| 130, 143 | stopped by Ctrl-C or SIGTERM: the running step was finished, the state saved, the best weights so far judged and exported. A second signal ends at once |

Output is quiet when piped. With \`--json\` each event is one line.
`;
