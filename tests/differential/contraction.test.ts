import { describeKernels } from '../support/differential/describe.js';
import { contractionSpecs, poolingSpecs } from '../support/differential/specs/contraction.js';

describeKernels('contraction', [...contractionSpecs, ...poolingSpecs], { runs: 20, seed: 1 });
