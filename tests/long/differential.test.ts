import { describeFused, describeKernels } from '../support/differential/describe.js';
import { fusedFamilies } from '../support/differential/fused/index.js';
import { families } from '../support/differential/specs/index.js';

const OPTIONS = { runs: 200, seed: 20_240_229 };

for (const [family, specs] of Object.entries(families)) describeKernels(family, specs, OPTIONS);
for (const [family, specs] of Object.entries(fusedFamilies)) describeFused(family, specs, OPTIONS);
