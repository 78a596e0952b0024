import { describeKernels } from '../support/differential/describe.js';
import { families } from '../support/differential/specs/index.js';

for (const [family, specs] of Object.entries(families)) describeKernels(family, specs, { runs: 200, seed: 20_240_229 });
