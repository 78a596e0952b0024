/** All ops of our own that are judged on random calls. */
import { activationSpecs } from './activation.js';
import { attentionSpecs } from './attention.js';
import { lossSpecs } from './loss.js';
import { multiSpecs } from './multi.js';
import { normSpecs } from './norm.js';
import { recurrentSpecs } from './recurrent.js';
import type { FusedSpec } from './spec.js';

export const fusedFamilies: Readonly<Record<string, readonly FusedSpec[]>> = {
  activation: activationSpecs,
  loss: lossSpecs,
  norm: normSpecs,
  attention: attentionSpecs,
  recurrent: recurrentSpecs,
  multi: multiSpecs,
};
