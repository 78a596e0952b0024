import { describeKernels } from '../support/differential/describe.js';
import { imageSpecs } from '../support/differential/specs/image.js';

describeKernels('image', imageSpecs, { runs: 20, seed: 1 });
