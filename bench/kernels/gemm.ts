import { type KernelCase, SUMS, input, output } from '../harness/case.js';
import { filled } from '../harness/fill.js';

interface Product {
  readonly batch?: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly ta?: boolean;
  readonly tb?: boolean;
  readonly quick?: boolean;
}

function matmul({ batch = 1, m, k, n, ta = false, tb = false, quick = false }: Product): KernelCase {
  const shape = `${batch > 1 ? `${batch}*` : ''}${m}x${k}x${n}${ta ? ':ta' : ''}${tb ? ':tb' : ''}`;
  const operands = [
    input('f', 'u1', batch, ta ? k : m, ta ? m : k),
    input('f', 'u2', batch, tb ? n : k, tb ? k : n),
    output(batch, m, n),
  ];
  const [a, b] = [filled('u1'), filled('u2')];
  return {
    name: `matmul ${shape}`,
    op: 'matmul',
    shape,
    dtype: 'f32',
    family: m === 1 || n === 1 ? 'matrix times vector' : 'matrix product',
    work: { amount: 2 * batch * m * k * n, unit: 'flop' },
    size: batch * m * n,
    expected: (index) => {
      const j = index % n;
      const i = Math.floor(index / n) % m;
      const p = Math.floor(index / (m * n));
      let value = 0;
      let scale = 0;
      for (let l = 0; l < k; ++l) {
        const product = a(p * m * k + (ta ? l * m + i : i * k + l)) * b(p * k * n + (tb ? j * k + l : l * n + j));
        value += product;
        scale += Math.abs(product);
      }
      return { value, scale };
    },
    tolerance: SUMS,
    quick,
    ours: { name: 'matmul', ints: [Number(ta), Number(tb)], operands, result: 2 },
    peer: { name: 'gemm', ints: [batch, m, n, k, Number(ta), Number(tb)], operands, result: 2 },
  };
}

const cube = (size: number, quick = false): KernelCase => matmul({ m: size, k: size, n: size, quick });

/** The shapes of a published comparison, and those that the models of the whole-step benchmark use. */
export const GEMM_CASES: readonly KernelCase[] = [
  cube(64, true),
  cube(128),
  cube(256),
  cube(512, true),
  cube(1024),
  cube(2048),
  matmul({ m: 512, k: 512, n: 512, ta: true }),
  matmul({ m: 512, k: 512, n: 512, tb: true }),
  matmul({ m: 512, k: 512, n: 512, ta: true, tb: true }),
  matmul({ m: 1, k: 1024, n: 1024, quick: true }),
  matmul({ m: 1, k: 1024, n: 1024, tb: true }),
  matmul({ m: 1024, k: 1024, n: 1 }),
  matmul({ m: 4, k: 1024, n: 1024 }),
  matmul({ m: 32, k: 784, n: 256 }),
  matmul({ m: 784, k: 32, n: 256, ta: true }),
  matmul({ m: 32, k: 256, n: 784, tb: true }),
  matmul({ m: 128, k: 512, n: 512 }),
  matmul({ m: 128, k: 256, n: 10 }),
  matmul({ m: 2048, k: 64, n: 2048 }),
  matmul({ m: 64, k: 65536, n: 64, ta: true }),
  matmul({ batch: 96, m: 128, k: 64, n: 128 }),
  matmul({ batch: 96, m: 128, k: 64, n: 128, tb: true }),
  matmul({ m: 2048, k: 256, n: 1024 }),
  matmul({ m: 256, k: 2048, n: 1024, ta: true }),
  matmul({ m: 2048, k: 1024, n: 256, tb: true }),
  matmul({ m: 2048, k: 384, n: 1152 }),
  matmul({ m: 384, k: 2048, n: 1536, ta: true }),
  matmul({ m: 2048, k: 1536, n: 384, tb: true }),
];
