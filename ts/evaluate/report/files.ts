/** Name of the picture of the learning curves beside a report. */
export const CHARTS_FILE = 'training_curves.svg';
