import type { NativeAddon } from '../native/addon.js';
import { loadNative } from '../native/load.js';

let addon: NativeAddon | 'none' | undefined;

/**
 * The addon where it can be loaded. Tables are read and prepared without it too, with the same bits, in several times the time; what is
 * wrong with it is said where a backend is used.
 */
export function tableAddon(): NativeAddon | undefined {
  if (addon === undefined) {
    try {
      addon = loadNative();
    } catch {
      addon = 'none';
    }
  }
  return addon === 'none' ? undefined : addon;
}

/** Columns from this length on are passed over by the addon. */
const NATIVE_FROM_ROWS = 1 << 13;

/** The addon for passes over so many rows; undefined where they are too few to be worth the call. */
export function passesAddon(rows: number): NativeAddon | undefined {
  return rows < NATIVE_FROM_ROWS ? undefined : tableAddon();
}
