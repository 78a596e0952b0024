import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { EXPORT_FORMATS, type ExportFormat } from '../run/export-format-names.js';
import { Output } from './output.js';
import { relativePath } from './relative-path.js';

interface ExportCommandOptions {
  readonly format: ExportFormat;
  readonly output?: string;
  readonly device?: string;
  readonly json?: boolean;
}

/** `tensorkiln export <run> --format <name>`: a finished run's model in another format. */
export function exportCommand(): Command {
  return new Command('export')
    .description('write the model of a finished run in another format; it is checked before the file gets its name')
    .argument('<run>', 'folder of a finished run')
    .addOption(
      new Option('--format <name>', 'onnx; onnx-pipeline: with the preprocessing inside; tfjs (LayersModel); safetensors')
        .choices([...EXPORT_FORMATS])
        .makeOptionMandatory(),
    )
    .option(
      '--output <path>',
      'file, for tfjs a folder (default: model.onnx, pipeline.onnx, tfjs or model.safetensors in <run>/export)',
    )
    .option('--device <name>', 'auto, cpu, cuda or cuda:<number> (default: TENSORKILN_DEVICE, else cpu)')
    .option('--json', 'print the result as one JSON object')
    .action(async (run: string, options: ExportCommandOptions) => {
      const { exportRunAs } = await import('../run/export-formats.js');
      const { path, verification } = await exportRunAs(resolve(run), {
        format: options.format,
        ...(options.output === undefined ? {} : { output: resolve(options.output) }),
        ...(options.device === undefined ? {} : { device: options.device }),
      });
      const output = new Output(process.stdout);
      if (options.json === true) {
        output.line(JSON.stringify({ path, format: options.format, verification }));
        return;
      }
      const check = !verification.verified
        ? `not verified: ${verification.reason}`
        : 'rows' in verification
          ? `verified on ${verification.rows} rows, largest relative error ${verification.largestError.toExponential(1)}`
          : 'read back and compared';
      output.line(`Model: ${relativePath(path)} (${check})`);
    });
}
