/** Stands for ts/data/table-addon.ts in the group `unit`, which does without the addon. */
export const tableAddon = (): undefined => undefined;
export const passesAddon = (): undefined => undefined;
