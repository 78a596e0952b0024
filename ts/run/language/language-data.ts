/** The data of a run that trains a language model. */
import { prepareText, shownPath, type PartName, type PreparedText } from '../../data/index.js';
import { textConfig } from '../config/data-config.js';
import type { TrainingConfig } from '../config/schema.js';
import type { TextEvent } from '../run-events.js';
import { TextWindows } from './text-windows.js';

/** A text made ready for training. */
export interface LanguageData {
  readonly task: 'language_model';
  readonly text: PreparedText;
  /** Different tokens, that of unknown characters included. */
  readonly vocabulary: number;
}

/** @throws as `prepareText`; E_CONFIG for settings of tables */
export async function prepareLanguageData(
  config: TrainingConfig,
  options: { readonly signal?: AbortSignal; readonly onEvent?: (event: TextEvent) => void } = {},
): Promise<LanguageData> {
  const text = await prepareText(textConfig(config), options.signal === undefined ? {} : { signal: options.signal });
  const { train, validation, test } = text.parts;
  options.onEvent?.({
    type: 'text_ready',
    path: shownPath(config.data.path),
    vocabulary: text.vocabulary.length,
    characters: { train: train.length, validation: validation.length, test: test.length },
    unknown: text.unknown,
  });
  return { task: 'language_model', text, vocabulary: text.vocabulary.length + 1 };
}

/** Windows of a part that is not empty. */
export function windowsOf({ text }: LanguageData, part: PartName): TextWindows {
  return new TextWindows(text.parts[part], { length: text.contextLength, shifts: part === 'train' });
}
