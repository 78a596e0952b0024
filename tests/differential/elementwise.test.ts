import { describeKernels } from '../support/differential/describe.js';
import { elementwiseSpecs } from '../support/differential/specs/elementwise.js';

describeKernels('elementwise', elementwiseSpecs, { runs: 20, seed: 1 });
