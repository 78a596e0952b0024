import { Command } from 'commander';
import { type EnvironmentReport, inspectEnvironment } from '../backend/inspect/index.js';

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

type Section = readonly (readonly [label: string, value: string])[];

function systemSection({ system }: EnvironmentReport): Section {
  const { cpu, memory } = system;
  const cores = `${cpu.logicalCores} logical, ${cpu.availableCores} available`;
  return [
    [
      'system',
      [`${system.platform} ${system.arch}`, system.distribution, `kernel ${system.release}`, system.libc]
        .filter(Boolean)
        .join(', '),
    ],
    ['cpu', cpu.model],
    ['cores', cpu.coreLimit === undefined ? cores : `${cores}, limited to ${cpu.coreLimit}`],
    [
      'memory',
      `${gibibytes(memory.totalBytes)}, ${gibibytes(memory.freeBytes)} free` +
        (memory.limitBytes === undefined ? '' : `, limited to ${gibibytes(memory.limitBytes)}`),
    ],
  ];
}

const BF16_PRODUCTS = {
  avx512_bf16: 'by AVX512-BF16',
  widened: 'in float32, which holds them exactly',
  emulated: 'as AVX512-BF16 computes them, number by number (TENSORKILN_BF16)',
} as const;

function nativeSection({ native }: EnvironmentReport): Section {
  const { build } = native;
  const attempts = native.attempts.map(
    ({ place, path, outcome, reason }) =>
      ['tried', `${place}: ${path}: ${reason === '' ? outcome : `${outcome} (${reason})`}`] as const,
  );
  if (build === undefined) return [['addon', 'NOT LOADED'], ...attempts];
  return [
    ['addon', `loaded, ${build.buildType} build by ${build.compiler}, Node-API ${build.napiVersion}`],
    ...attempts,
    ['levels', `${build.levels.join(', ')}; active: ${build.activeLevel}`],
    ['bf16 products', BF16_PRODUCTS[build.bf16Products]],
    ['op checks', build.checkedOps ? 'on' : 'off'],
  ];
}

function cudaSection({ cuda }: EnvironmentReport): Section {
  const versions = [
    cuda.runtimeVersion === undefined ? undefined : `built with CUDA ${cuda.runtimeVersion} for ${cuda.architectures ?? '?'}`,
    cuda.driverVersion === undefined ? undefined : `driver for CUDA ${cuda.driverVersion}`,
  ].filter((text) => text !== undefined);
  return [
    ['cuda', [cuda.summary, ...versions].join('; ')],
    ...cuda.devices.map(
      (device) =>
        [
          `cuda:${device.index}`,
          `${device.name}, compute ${device.computeCapability}, ${gibibytes(device.memoryBytes)}`,
        ] as const,
    ),
  ];
}

/** The report as aligned lines for people, ending without a line break. */
export function formatReport(report: EnvironmentReport): string {
  const tfjs = report.tfjsCore.map(
    ({ seenFrom, version, path }) => ['tfjs-core', `${version} from ${seenFrom}: ${path}`] as const,
  );
  const variables = Object.entries(report.environment).map(([name, value]) => [name, value] as const);
  const lines: Section = [
    ['tensorkiln', `${report.package.version} in ${report.package.path}`],
    ['node', `${report.node.version}, V8 ${report.node.v8}, Node-API ${report.node.napi}, libuv ${report.node.uv}`],
    ...(tfjs.length === 0 ? [['tfjs-core', 'NOT FOUND: npm install @tensorflow/tfjs-core@4.22.0'] as const] : tfjs),
    ...systemSection(report),
    ...nativeSection(report),
    ...cudaSection(report),
    ...variables,
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  const text = lines.map(([label, value]) => label.padEnd(width) + value).join('\n');
  return report.native.error === undefined ? text : `${text}\n\n${report.native.error.message}`;
}

/** `tensorkiln inspect [--json]`: what a bug report needs. Ends with exit code 0 also when the addon is absent. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('print versions, system, addon and CUDA: what a bug report needs')
    .option('--json', 'print one JSON object')
    .action(async (options: { json?: boolean }) => {
      const report = await inspectEnvironment();
      process.stdout.write(`${options.json === true ? JSON.stringify(report, null, 2) : formatReport(report)}\n`);
    });
}
