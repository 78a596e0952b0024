import { describeFused } from '../support/differential/describe.js';
import { fusedFamilies } from '../support/differential/fused/index.js';

for (const [family, specs] of Object.entries(fusedFamilies)) describeFused(family, specs, { runs: 20, seed: 1 });
