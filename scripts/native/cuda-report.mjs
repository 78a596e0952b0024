// What ptxas says about kernels when nvcc runs with -Xptxas=-v: registers, spills, and whether wgmma had to be serialised.

/**
 * Kernels by their name, or its beginning where the instances differ. They are loops over all of the data, so what spills from
 * registers to memory is paid for every element. Of the row kernels it is those that keep a row in registers.
 */
export const HOT_KERNELS = [
  'hopper_kernel',
  'tile_kernel',
  'skinny_kernel',
  'rows_kernelILi32ELi4E',
  'rows_kernelILi32ELi32E',
  'rows_kernelILi256ELi32E',
  'update_kernel',
  'for_each_kernel',
  'attention_kernel',
  'query_gradient_kernel',
  'key_gradient_kernel',
  'attention_tiles_kernel',
  'attention_hopper_kernel',
  'wgmma_tile_kernel',
  'query_gradient_tiles_kernel',
  'key_gradient_tiles_kernel',
];

/**
 * @typedef {{ kernel: string, architecture: string, registers: number, spillBytes: number }} KernelReport
 * @param {string} log
 * @returns {{ kernels: KernelReport[], serialised: string[] }} reports in the log's order, and the lines about serialised wgmma
 */
export function readReport(log) {
  const kernels = [];
  let current;
  for (const line of log.split('\n')) {
    const entry = /Compiling entry function '([^']+)' for '([^']+)'/.exec(line);
    if (entry !== null) {
      current = { kernel: entry[1], architecture: entry[2], registers: 0, spillBytes: 0 };
      kernels.push(current);
      continue;
    }
    // A function that is called and not inlined has a report of its own.
    if (/Function properties for/.test(line) && current !== undefined && !line.includes(current.kernel)) continue;
    const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line);
    if (spills !== null && current !== undefined) current.spillBytes += Number(spills[1]) + Number(spills[2]);
    const used = /Used (\d+) registers/.exec(line);
    if (used !== null && current !== undefined) current.registers = Number(used[1]);
  }
  return { kernels, serialised: log.split('\n').filter((line) => line.includes('C7510')) };
}

/**
 * What is wrong with a build: spills in hot kernels, serialised wgmma, and hot kernels of which the log says nothing, since a
 * name that has changed would otherwise never be checked again.
 *
 * @param {string} log
 * @returns {string[]} one line per problem
 */
export function problemsOf(log) {
  const { kernels, serialised } = readReport(log);
  const problems = serialised.map((line) => `wgmma is serialised: ${line.trim()}`);
  for (const name of HOT_KERNELS) {
    // In a mangled name its length comes before it: "tile_kernel" is not the end of another's name.
    const mangled = new RegExp(`\\d${name}`);
    const found = kernels.filter(({ kernel }) => mangled.test(kernel));
    if (found.length === 0) problems.push(`no report of a hot kernel '${name}'`);
    for (const { kernel, architecture, spillBytes } of found) {
      if (spillBytes > 0) problems.push(`${kernel} (${architecture}) spills ${spillBytes} bytes`);
    }
  }
  return problems;
}
