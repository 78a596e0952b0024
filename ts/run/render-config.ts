import { packageVersion } from '../native/load.js';
import { configText, resolveConfig, type Decision, type ResolvedConfig } from './config/resolve.js';
import type { TrainingConfig } from './config/schema.js';
import { prepareAnyData } from './run-data.js';
import { defaultFolder } from './run-folder.js';
import { selectDevice } from './select-device.js';

export interface RenderedConfig {
  readonly config: ResolvedConfig;
  readonly decisions: readonly Decision[];
  /** YAML; each decided value carries its reason as a comment. */
  readonly text: string;
}

export interface RenderOptions {
  /** Names the folder unless the configuration has an output; default 'run'. */
  readonly name?: string;
  readonly signal?: AbortSignal;
}

/**
 * The configuration a run would use: every default filled in, every "auto" decided. Reads the data for that and writes nothing.
 *
 * @throws as `runTraining` does before training
 */
export async function renderConfig(config: TrainingConfig, options: RenderOptions = {}): Promise<RenderedConfig> {
  const device = await selectDevice(config.device);
  const data = await prepareAnyData(config, {
    // A verdict of the data is no reason to refuse showing the configuration.
    force: true,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const resolved = resolveConfig(config, data, { output: defaultFolder(options.name ?? 'run', new Date()), device });
  return { ...resolved, text: configText(resolved.config, resolved.decisions, packageVersion()) };
}
