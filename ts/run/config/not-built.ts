/** What users of other tools, or readers of the plans, may write in a configuration and this version does not have. */

interface NotBuilt {
  readonly feature: string;
  /** A sentence. */
  readonly instead: string;
}

const LOGS = 'Use logging.tensorboard, or the training_history.json and metrics.json of the run.';

/** By dotted key, or `key=value` for a value that is a feature of its own. */
const NOT_BUILT: Readonly<Record<string, NotBuilt>> = {
  'logging.mlflow': { feature: 'logging to MLflow', instead: LOGS },
  'logging.wandb': { feature: 'logging to Weights & Biases', instead: LOGS },
  serving: { feature: 'an inference server', instead: 'Use loadPredictor in a server of your own, as examples/embed does.' },
  tuning: { feature: 'a search for hyperparameters', instead: 'Use tensorkiln train with --set for each choice.' },
  registry: { feature: 'a registry of models', instead: 'Use a folder for each run, named by output.' },
  distributed: { feature: 'training on several machines or devices', instead: 'Use device for one device.' },
  'model.architecture=vit': {
    feature: 'the architecture vit',
    instead: 'Use cnn or resnet18 for images, or layers with blocks of your own.',
  },
};

/** What is said of a feature that this version lacks; undefined for anything else. */
export function notBuilt(path: readonly PropertyKey[], value?: unknown): string | undefined {
  const key = path.map(String).join('.');
  const name = typeof value === 'string' ? `${key}=${value}` : key;
  const found = Object.hasOwn(NOT_BUILT, name) ? NOT_BUILT[name] : undefined;
  return found === undefined
    ? undefined
    : `${name.replace('=', ' ')}: ${found.feature} is not built in this version. ${found.instead}`;
}
