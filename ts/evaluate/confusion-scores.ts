/** Precision, recall and F1 of several classes taken together. */
export interface Average {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** What can be read from a confusion matrix. */
export interface ConfusionScores {
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly mcc: number;
  readonly macro: Average;
  readonly micro: Average;
  readonly weighted: Average;
  readonly perClass: readonly (Average & { readonly support: number; readonly predicted: number })[];
}

/**
 * Scores of counts. A ratio without a denominator is 0; plain means leave out classes found neither in the labels nor in the
 * predictions, balanced accuracy those not found in the labels.
 *
 * @param counts     [C,C] row-major: rows of true class k predicted as class l; at least one
 * @param numClasses C
 * @source scikit-learn `sklearn/metrics/_classification.py`: balanced_accuracy_score, precision_recall_fscore_support; Gorodkin
 *         2004, Computational Biology and Chemistry 28: the correlation of more than two classes (MCC)
 */
export function scoreConfusion(counts: Float64Array, numClasses: number): ConfusionScores {
  const support = new Float64Array(numClasses);
  const predicted = new Float64Array(numClasses);
  let [rows, right] = [0, 0];
  for (let k = 0; k < numClasses; ++k) {
    for (let l = 0; l < numClasses; ++l) {
      const count = counts[k * numClasses + l]!;
      support[k]! += count;
      predicted[l]! += count;
      rows += count;
    }
    right += counts[k * numClasses + k]!;
  }
  const perClass = Array.from(support, (own, k) => {
    const found = counts[k * numClasses + k]!;
    return {
      precision: ratio(found, predicted[k]!),
      recall: ratio(found, own),
      // 2PR/(P+R) with both ratios written out, which needs one division and is exact for 0.
      f1: ratio(2 * found, own + predicted[k]!),
      support: own,
      predicted: predicted[k]!,
    };
  });
  const labelled = perClass.filter((entry) => entry.support > 0);
  const seen = perClass.filter((entry) => entry.support > 0 || entry.predicted > 0);
  const accuracy = right / rows;
  return {
    accuracy,
    balancedAccuracy: mean(labelled.map((entry) => entry.recall)),
    mcc: correlation(support, predicted, right, rows),
    macro: average(seen, () => 1),
    // Each row has one label and one prediction: all three are the share that is right.
    micro: { precision: accuracy, recall: accuracy, f1: accuracy },
    weighted: average(perClass, (entry) => entry.support),
    perClass,
  };
}

function average<Entry extends Average>(entries: readonly Entry[], weight: (entry: Entry) => number): Average {
  let [precision, recall, f1, total] = [0, 0, 0, 0];
  for (const entry of entries) {
    const share = weight(entry);
    precision += share * entry.precision;
    recall += share * entry.recall;
    f1 += share * entry.f1;
    total += share;
  }
  return { precision: precision / total, recall: recall / total, f1: f1 / total };
}

/** Matthews' correlation; 0 when all labels or all predictions are of one class. */
function correlation(support: Float64Array, predicted: Float64Array, right: number, rows: number): number {
  let [both, ofPredicted, ofSupport] = [0, 0, 0];
  for (let k = 0; k < support.length; ++k) {
    both += predicted[k]! * support[k]!;
    ofPredicted += predicted[k]! ** 2;
    ofSupport += support[k]! ** 2;
  }
  const scale = (rows * rows - ofPredicted) * (rows * rows - ofSupport);
  return scale === 0 ? 0 : (right * rows - both) / Math.sqrt(scale);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
