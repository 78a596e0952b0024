import { describeKernels } from '../support/differential/describe.js';
import { families } from '../support/differential/specs/index.js';

describeKernels('not finite', families['not finite']!, { runs: 20, seed: 1 });
