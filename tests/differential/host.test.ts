import { describeKernels } from '../support/differential/describe.js';
import { hostSpecs } from '../support/differential/specs/host.js';

describeKernels('sorting, counting, sparse', hostSpecs, { runs: 20, seed: 1 });
