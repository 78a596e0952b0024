/** What a run read, so that it can be told whether a repetition reads the same. */
import { shownPath } from '../data/index.js';
import { digestOf } from '../track/run-record.js';
import type { TrainingConfig } from './config/schema.js';

export interface DataFile {
  readonly path: string;
  /** Null for a database on a server. */
  readonly sha256: string | null;
}

/** The file or folder of `data.path`, and any others the configuration names, by key. */
export async function describeDataFiles({
  data,
  model,
}: Pick<TrainingConfig, 'data' | 'model'>): Promise<DataFile & { readonly others: Readonly<Record<string, DataFile>> }> {
  const describe = async (path: string): Promise<DataFile> => ({ path: shownPath(path), sha256: await digestOf(path) });
  const others: Record<string, DataFile> = {};
  for (const key of ['labels', 'test_path', 'test_labels'] as const) {
    const path = data[key];
    if (path !== undefined) others[key] = await describe(path);
  }
  const { pretrained } = model;
  if (pretrained !== false)
    others['pretrained'] = await describe(typeof pretrained === 'string' ? pretrained : pretrained.path);
  return { ...(await describe(data.path)), others };
}
