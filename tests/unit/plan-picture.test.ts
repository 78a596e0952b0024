import { expect, it } from 'vitest';
import { planPicture } from '../../ts/run/plan-picture.js';

const PROGRAM = `tensorkiln program 1
# 7 calls in 5 steps, arena 64 bytes
%3: f32[1,4,2] = matmul(%0: f32[1,4,3], %1: f32[1,3,2]) {transpose_a=0, transpose_b=0}
chain 4 x 2, tiles of 4 {
  %4: f32[4,2] = add(%3: f32[4,2], %2: f32[2])
  %5: f32[4,2] = relu(%4: f32[4,2])
}
chain 4 x 2, tiles of 4, on the rows of its first call {
  %8: f32[1,4,2] = matmul(%5: f32[1,4,2], %9: f32[1,2,2]) {transpose_a=0, transpose_b=0}
  %10: f32[4,2] = tanh(%8: f32[4,2])
}
%6: f32[1,1] = reduce_sum(%5: f32[1,8,1])
sgd(%7: f32[3], &%1: f32[3,2], %3: f32[3,2])
`;

it('draws a box per step, a chain as one, and arcs to uses further down', () => {
  const picture = planPicture(PROGRAM);
  expect(picture.startsWith('<svg')).toBe(true);
  const boxes = [...picture.matchAll(/<rect x="12" y="\d+" width="640"[^>]*fill="(#\w+)"/g)].map(([, colour]) => colour);
  expect(boxes).toEqual(['#c9daf8', '#d9ead3', '#c9daf8', '#eeeeee', '#fce5cd']);
  // %3 is read by the step after it, without an arc, and by the last one; %5 by the next and by the one after.
  expect(picture.match(/<path /g)).toHaveLength(2);
  expect(picture).toContain('7 calls in 5 steps');
  expect(picture).toContain('&amp;%1');
});
