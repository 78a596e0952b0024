import { describeKernels } from '../support/differential/describe.js';
import { reductionSpecs } from '../support/differential/specs/reduction.js';

describeKernels('reduction', reductionSpecs, { runs: 20, seed: 1 });
