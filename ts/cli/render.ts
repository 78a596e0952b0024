import { parse } from 'node:path';
import { Command } from 'commander';
import { Output } from './output.js';
import { loadConfigWith, withConfigOptions, type ConfigOptions } from './train.js';

/** `tensorkiln render <config>`: the configuration a run would use, on stdout. */
export function renderCommand(): Command {
  return withConfigOptions(new Command('render'))
    .description('print the configuration a run would use: every default filled in, every "auto" decided, with the reason')
    .option('--json', 'print it as one JSON object, with the decisions')
    .action(async (file: string, options: ConfigOptions & { readonly json?: boolean }) => {
      const config = await loadConfigWith(file, options);
      // Loaded here so that help and a wrong configuration do not wait for the engine.
      const { renderConfig } = await import('../run/render-config.js');
      const rendered = await renderConfig(config, { name: parse(file).name });
      const output = new Output(process.stdout);
      if (options.json === true) output.line(JSON.stringify({ config: rendered.config, decisions: rendered.decisions }));
      else output.write(rendered.text);
    });
}
