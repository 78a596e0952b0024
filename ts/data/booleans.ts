const PAIRS: readonly (readonly [string, string])[] = [
  ['true', 'false'],
  ['yes', 'no'],
  ['t', 'f'],
  ['y', 'n'],
  ['on', 'off'],
];

/** Which cells of a column stand for true and which for false; undefined when they are not one pair of such words, in any case. */
export function booleanWords(
  cells: readonly string[],
): { readonly truthy: readonly string[]; readonly falsy: readonly string[] } | undefined {
  const lower = cells.map((cell) => cell.toLowerCase());
  const pair = PAIRS.find(
    (words) => words.every((word) => lower.includes(word)) && lower.every((cell) => words.includes(cell)),
  );
  if (pair === undefined) return undefined;
  return {
    truthy: cells.filter((cell) => cell.toLowerCase() === pair[0]),
    falsy: cells.filter((cell) => cell.toLowerCase() === pair[1]),
  };
}
