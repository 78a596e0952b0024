import { describeKernels } from '../support/differential/describe.js';
import { layoutSpecs } from '../support/differential/specs/layout.js';

describeKernels('layout', layoutSpecs, { runs: 20, seed: 1 });
