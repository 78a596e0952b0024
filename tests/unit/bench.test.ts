import { describe, expect, it } from 'vitest';
import { type Judged, input, output, prepareLine, sampledPlaces } from '../../bench/harness/case.js';
import { filled, filledArray } from '../../bench/harness/fill.js';
import { othersLoad } from '../../bench/harness/load.js';
import { WrongResult, assemble, fault, measureCase } from '../../bench/harness/measure.js';
import { UsageError, chooseCases, readOptions } from '../../bench/harness/options.js';
import type { Runner } from '../../bench/harness/peers.js';
import { pageHtml } from '../../bench/harness/report-html.js';
import { rowText, summaryText } from '../../bench/harness/report-text.js';
import { geometricMean, median, quantile, ratioOf, spread } from '../../bench/harness/statistics.js';
import { rowOf } from '../../bench/harness/table.js';

const CASE: Judged = {
  name: 'double 4',
  op: 'double',
  shape: '4',
  dtype: 'f32',
  family: 'elementwise',
  work: { amount: 32, unit: 'byte' },
  size: 4,
  expected: (index) => ({ value: 2 * index, scale: 1 }),
  tolerance: { relative: 1e-6, reason: 'exact' },
};

/** A leg that answers as the script says; the first line is its version. */
function runner(name: string, answers: string): Runner {
  const script = `console.log('{"ready":"${name} 1"}'); const answer = (line) => { ${answers} };
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => console.log(JSON.stringify(answer(line))));`;
  return { name, command: [process.execPath, '-e', script] };
}
const answering = (values: string, seconds: number): string =>
  `return line.startsWith('time') ? { seconds: ${seconds}, calls: 1 } : { size: 4, finite: true, values: ${values} };`;

describe('statistics of the benchmarks', () => {
  it('takes the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
    expect(geometricMean([1, 4])).toBeCloseTo(2, 12);
  });

  it('interpolates quantiles as numpy does', () => {
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
    expect(spread([1, 2, 3, 4, 5])).toBeCloseTo(2 / 3, 12);
  });

  it('gives an interval that holds the ratio, and is narrow where both move together', () => {
    const noise = [1, 1.2, 0.9, 1.1, 1, 0.95, 1.05];
    const { value, low, high } = ratioOf(
      noise,
      noise.map((x) => 2 * x),
    );
    expect([low, value, high]).toEqual([2, 2, 2]);
    const loose = ratioOf(noise, [...noise].reverse());
    expect(loose.low).toBeLessThanOrEqual(loose.value);
    expect(loose.high).toBeGreaterThanOrEqual(loose.value);
    expect(() => ratioOf([1], [1, 2])).toThrow('1 blocks of ours, 2 of the peer');
  });

  it('tells the load of others from our own', () => {
    expect(othersLoad(3, 1, 2)).toBe(1);
    expect(othersLoad(1, 2, 2)).toBe(0);
  });
});

describe('inputs of the benchmarks', () => {
  it('are the same everywhere and within their range', () => {
    const values = filledArray('u7', 1000, 'f');
    expect(values).toEqual(filledArray('u7', 1000, 'f'));
    expect(values).not.toEqual(filledArray('u8', 1000, 'f'));
    expect(Math.max(...values)).toBeLessThan(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1);
    expect(Math.min(...filledArray('p1', 1000, 'f'))).toBeGreaterThan(0);
    expect(Math.max(...filledArray('i1m10', 1000, 'i'))).toBe(9);
    expect([0, 1].map(filled('l0.5/2'))).toEqual([0.5, 2]);
    expect(filled('c3')(17)).toBe(3);
  });

  it('samples both ends of a large result and all of a small one', () => {
    expect(sampledPlaces(3)).toEqual([0, 1, 2]);
    const places = sampledPlaces(1e6);
    expect(places.slice(0, 2)).toEqual([0, 999_999]);
    expect(places.every((place) => Number.isInteger(place) && place >= 0 && place < 1e6)).toBe(true);
  });

  it('writes a call as one line', () => {
    const call = { name: 'add', ints: [1, 2], floats: [0.5], operands: [input('f', 'u1', 2, 3), output(6)], result: 1 };
    expect(prepareLine(call, [0, 5])).toBe(
      'prepare name=add ints=1,2 floats=0.5 operands=in:f:u1:2x3;out:f:z:6 result=1 at=0,5',
    );
  });
});

describe('options of the benchmarks', () => {
  const read = (...args: string[]): unknown => readOptions(args, [CASE], 2);

  it.each([
    [['--ops', 'triple'], "unknown op 'triple': expected double"],
    [['--shapes', '5'], "unknown shape '5': expected 4"],
    [['--dtypes', 'f64'], "unknown dtype 'f64': expected f32"],
    [['--peers', 'mkl'], "unknown peer 'mkl': expected onednn, onednn-nhwc, openblas"],
    [['--table', 'gpu'], "unknown table 'gpu': expected kernels, tfjs"],
    [['--threads', '0'], "--threads: expected whole numbers from 1 to 256, got '0'"],
    [['--seconds', 'x'], "--seconds: expected a positive number, got 'x'"],
    [['--clock', 'cpu', '--table', 'kernels'], '--clock cpu: only with --table kernels --threads 1'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => read(...args)).toThrow(UsageError);
    expect(() => read(...args)).toThrow(message);
  });

  it('has defaults and chooses cases', () => {
    const options = readOptions([], [CASE], 2);
    expect(options).toMatchObject({ threads: [1, 2], rounds: 9, clock: 'wall', tables: ['kernels', 'tfjs'] });
    expect(read('--help')).toBe('help');
    if (options === 'help') throw new Error('not asked for');
    expect(chooseCases([CASE], options)).toEqual([CASE]);
    const quick = readOptions(['--quick'], [CASE], 2);
    if (quick === 'help') throw new Error('not asked for');
    expect(chooseCases([CASE], quick)).toEqual([]);
  });
});

describe('a run of the benchmarks', () => {
  const OPTIONS = { threads: 1, rounds: 3, seconds: 0.001, clock: 'wall', judged: () => true } as const;
  const ours = runner('tensorkiln', answering('[0, 2, 4, 6]', 0.5));

  it('judges a result by its values', () => {
    expect(fault(CASE, { size: 4, finite: true, values: [0, 2, 4, 6] })).toBeUndefined();
    expect(fault(CASE, { size: 4, finite: true, values: [0, 2, 4, 6.1] })).toMatch('element 3 is 6.1, expected 6');
    expect(fault(CASE, { size: 4, finite: true, values: [0, 2, 4, null] })).toMatch('element 3 is null');
    expect(fault(CASE, { size: 4, finite: false, values: [] })).toBe('NaN or infinity');
    expect(fault(CASE, { size: 3, finite: true, values: [] })).toBe('3 elements, expected 4');
  });

  it('reports peers that are missing, crash, lack the op or are wrong, and goes on', async () => {
    const team = await assemble(
      [
        ours,
        runner('good', answering('[0, 2, 4, 6]', 1)),
        runner('wrong', answering('[0, 2, 4, 7]', 1)),
        runner(
          'crashing',
          `if (line.startsWith('time')) { console.error('lost a wheel'); process.exit(3); } ${answering('[0, 2, 4, 6]', 1)}`,
        ),
        runner('poor', `return { unsupported: 'no such op' };`),
        { name: 'nowhere', missing: 'not installed' },
        { name: 'unstartable', command: ['/nonexistent/program'] },
        { name: 'silent', command: [process.execPath, '-e', 'console.log(JSON.stringify({ missing: "no library" }))'] },
      ],
      1,
    );
    try {
      expect([...team.absent.keys()]).toEqual(['nowhere', 'unstartable', 'silent']);
      expect(team.absent.get('silent')).toBe('no library');
      const result = await measureCase(CASE, () => 'prepare double', team, OPTIONS);
      const row = rowOf(result, {});
      const cells = new Map(row.peers.map((cell) => [cell.name, cell]));
      expect(cells.get('good')?.ratio).toEqual({ value: 2, low: 2, high: 2 });
      expect(cells.get('wrong')?.note).toMatch('wrong result: element 3 is 7');
      expect(cells.get('crashing')?.note).toMatch('ended with code 3: lost a wheel');
      expect(cells.get('poor')?.note).toBe('has no such op');
      const text = rowText({ ...row, othersLoad: 1.5 }, true);
      expect(text).toMatch('LOADED: other programs used 1.5 processors');
      expect(text).toMatch('2.00x  good');
      expect(summaryText([row])).toMatch('2.00x  good (1 rows)');
      const page = pageHtml('T', ['a < b'], new Map([['kernels', [row]]]));
      expect(page).toMatch('a &lt; b');
      expect(page).toMatch('<b>2.00x</b>');
    } finally {
      for (const leg of team.legs) leg.close();
    }
  });

  it.skipIf(process.platform !== 'linux')(
    'keeps a peer that waits busily from the processors (Linux tells their time)',
    async () => {
      const busy = runner(
        'busy',
        `setInterval(() => { for (const end = Date.now() + 50; Date.now() < end;); }, 1); return {};`,
      );
      const { legs } = await assemble([runner('tensorkiln', 'return {};'), busy], 1);
      try {
        const leg = legs.find(({ name }) => name === 'busy')!;
        await leg.ask('begin');
        const before = leg.processorSeconds();
        await new Promise((resolve) => setTimeout(resolve, 500));
        expect(leg.processorSeconds() - before).toBeLessThan(0.1);
        await leg.ask('again');
      } finally {
        for (const each of legs) each.close();
      }
    },
  );

  it('stops when our own result is wrong, or when we do not start', async () => {
    const team = await assemble([runner('tensorkiln', answering('[0, 2, 4, 5]', 1))], 1);
    try {
      await expect(measureCase(CASE, () => 'prepare double', team, OPTIONS)).rejects.toThrow(WrongResult);
    } finally {
      for (const leg of team.legs) leg.close();
    }
    await expect(assemble([{ name: 'tensorkiln', missing: 'not built' }], 1)).rejects.toThrow(
      'tensorkiln does not run: not built',
    );
  });
});
