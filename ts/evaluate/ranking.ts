/** How well scores put the rows of one class before all others. */

/** Rows in order of falling score, cut where the score changes. */
export interface Ranking {
  /** [N] row indices; rows of one score in the order of their index. */
  readonly order: Uint32Array;
  /** Place behind the last row of each distinct score. */
  readonly ends: Uint32Array;
  /** [N] 1 for rows of the class. */
  readonly isPositive: Uint8Array;
}

/**
 * @param scores of row i; probabilities
 * @param labels [N] class indices
 * @param target the class in question
 */
export function rankRows(scores: (row: number) => number, labels: ArrayLike<number>, target: number): Ranking {
  const rows = labels.length;
  const values = new Float64Array(rows);
  for (let row = 0; row < rows; ++row) values[row] = scores(row);
  const order = orderOf(values);
  const ends: number[] = [];
  for (let place = 1; place <= rows; ++place) {
    if (place === rows || values[order[place]!] !== values[order[place - 1]!]) ends.push(place);
  }
  return {
    order,
    ends: Uint32Array.from(ends),
    isPositive: Uint8Array.from({ length: rows }, (_, row) => (labels[row] === target ? 1 : 0)),
  };
}

/** Of the two halves of a 64-bit word the one that counts more when words are compared. */
const HIGH_WORD = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** Row indices by falling value. */
function orderOf(values: Float64Array): Uint32Array {
  const rows = values.length;
  const singles = Float32Array.from(values);
  if (singles.some((value, row) => value !== values[row] || value < 0)) {
    return Uint32Array.from({ length: rows }, (_, row) => row).sort((a, b) => values[b]! - values[a]! || a - b);
  }
  // What a model gives is float32. Its bits, which grow with it from 0 up, and the row make one word that is sorted without
  // calling back: ten times as fast.
  for (let row = 0; row < rows; ++row) if (singles[row] === 0) singles[row] = 0;
  const bits = new Uint32Array(singles.buffer);
  const words = new BigUint64Array(rows);
  const halves = new Uint32Array(words.buffer);
  for (let row = 0; row < rows; ++row) {
    halves[2 * row + HIGH_WORD] = 0xffffffff - bits[row]!;
    halves[2 * row + 1 - HIGH_WORD] = row;
  }
  words.sort();
  return Uint32Array.from({ length: rows }, (_, place) => halves[2 * place + 1 - HIGH_WORD]!);
}

export interface RankScores {
  /** Area under the ROC curve: how often a row of the class is put before another one, ties counted half. */
  readonly rocAuc: number | null;
  /** Average precision: precision at each threshold, weighted by the recall gained there. */
  readonly prAuc: number | null;
}

/**
 * Areas under the ROC and the precision-recall curve; null without a row of the class or without any other row.
 *
 * @param weights how often each row counts; once by default
 * @source Fawcett 2006, Pattern Recognition Letters 27; scikit-learn `sklearn/metrics/_ranking.py`: average_precision_score
 */
export function scoreRanking(ranking: Ranking, weights?: Uint32Array): RankScores {
  let [positives, negatives, area, precisionArea] = [0, 0, 0, 0];
  eachThreshold(ranking, weights, (ownPositives, ownNegatives) => {
    area += ownNegatives * (positives + ownPositives / 2);
    positives += ownPositives;
    negatives += ownNegatives;
    if (ownPositives > 0) precisionArea += (ownPositives * positives) / (positives + negatives);
  });
  if (positives === 0 || negatives === 0) return { rocAuc: null, prAuc: null };
  return { rocAuc: area / (positives * negatives), prAuc: precisionArea / positives };
}

/** Rows of the class and others above a threshold. */
export interface ThresholdPoint {
  readonly truePositiveRate: number;
  readonly falsePositiveRate: number;
  readonly precision: number;
}

/** Of each distinct score, from the highest down; undefined without a row of the class or without any other row. */
export function thresholdPoints(ranking: Ranking): readonly ThresholdPoint[] | undefined {
  const counts: (readonly [number, number])[] = [];
  let [positives, negatives] = [0, 0];
  eachThreshold(ranking, undefined, (ownPositives, ownNegatives) => {
    positives += ownPositives;
    negatives += ownNegatives;
    counts.push([positives, negatives]);
  });
  if (positives === 0 || negatives === 0) return undefined;
  return counts.map(([found, wrong]) => ({
    truePositiveRate: found / positives,
    falsePositiveRate: wrong / negatives,
    precision: found / (found + wrong),
  }));
}

function eachThreshold(
  { order, ends, isPositive }: Ranking,
  weights: Uint32Array | undefined,
  visit: (positives: number, negatives: number) => void,
): void {
  let place = 0;
  for (const end of ends) {
    let [positives, negatives] = [0, 0];
    for (; place < end; ++place) {
      const row = order[place]!;
      const weight = weights === undefined ? 1 : weights[row]!;
      if (isPositive[row] === 1) positives += weight;
      else negatives += weight;
    }
    visit(positives, negatives);
  }
}
