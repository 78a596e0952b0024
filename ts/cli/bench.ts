import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';

/** Ours beside every peer found; what it prints and its exit code are those of the benchmark itself, a program of its own. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('Time every kernel and op beside the best peers found on this machine, in one run')
    .argument('[options...]', 'options of the benchmark; tensorkiln bench -- --help lists them')
    .allowUnknownOption()
    .action((options: string[]) => {
      const program = fileURLToPath(new URL('../bench/main.js', import.meta.url));
      const { status, error } = spawnSync(process.execPath, ['--enable-source-maps', program, ...options], {
        stdio: 'inherit',
      });
      if (error !== undefined) throw error;
      process.exitCode = status ?? 1;
    });
}
