/** A configuration's model, with the weights it begins with, and the trainer for it. */
import type { Model } from '../nn/index.js';
import type { Optimizer } from '../optim/index.js';
import { loadPretrained, setTrainable, Trainer } from '../train/index.js';
import { buildLoss, buildModel } from './build-model.js';
import type { ResolvedConfig } from './config/resolve.js';
import { patternOf } from './config/schema-parts.js';
import { classWeights } from './fit-options.js';
import type { AnyData } from './run-data.js';
import type { PretrainedEvent } from './run-events.js';

/**
 * The model, pretrained weights loaded and layers frozen as the configuration says.
 *
 * @throws as `buildModel`, `loadPretrained` and `setTrainable`
 */
export async function prepareModel(
  config: ResolvedConfig,
  data: AnyData,
  onEvent?: (event: PretrainedEvent) => void,
): Promise<Model> {
  const { pretrained, freeze } = config.model;
  const model = buildModel(config, data);
  try {
    if (pretrained !== false) {
      const { path, rename, strict } =
        typeof pretrained === 'string' ? { path: pretrained, rename: [], strict: false } : pretrained;
      const report = await loadPretrained(model, path, {
        rename: rename.map(({ from, to }) => [new RegExp(from), to] as const),
        strict,
      });
      onEvent?.({ type: 'pretrained', path, ...report });
    }
    if (freeze !== undefined) setTrainable(model, freeze.map(patternOf), false);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The trainer of a configuration. @throws E_CONFIG */
export function buildTrainer(
  config: ResolvedConfig,
  data: AnyData,
  { model, optimizer }: { readonly model: Model; readonly optimizer: Optimizer },
): Trainer {
  const weights = data.task === 'language_model' ? undefined : classWeights(config, data);
  const { seed, precision, compile } = config.training;
  return new Trainer({
    model,
    loss: buildLoss(config, data.task),
    optimizer,
    seed,
    precision,
    compile,
    ...(weights === undefined ? {} : { classWeights: weights }),
  });
}
