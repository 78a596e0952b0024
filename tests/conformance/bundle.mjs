// Bundles tfjs-core's own specs with the compiled backend, so that both share one copy of tfjs-core.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const require = createRequire(join(ROOT, 'package.json'));
const CORE = join(dirname(require.resolve('@tensorflow/tfjs-core/package.json')), 'dist');

/** Spec files marked for the browser that need none. */
const BROWSER_MARKED = [
  'io/http_test',
  'io/io_utils_test',
  'io/passthrough_test',
  'io/router_registry_test',
  'io/weights_loader_test',
  'ops/depth_to_space_test',
  'ops/from_pixels_test',
  'ops/image/rotate_with_offset_test',
];

/** Writes build/conformance/specs.cjs and returns its path. */
export async function bundleSpecs() {
  const folder = join(ROOT, 'build', 'conformance');
  mkdirSync(folder, { recursive: true });
  const entry = join(folder, 'entry.mjs');
  writeFileSync(
    entry,
    `
import ${JSON.stringify(join(CORE, 'register_all_gradients.js'))};
import ${JSON.stringify(join(CORE, 'public/chained_ops/register_all_chained_ops.js'))};
import ${JSON.stringify(join(ROOT, 'dist/index.js'))};
import { setTestEnvs } from ${JSON.stringify(join(CORE, 'jasmine_util.js'))};
import { env } from ${JSON.stringify(join(CORE, 'environment.js'))};
setTestEnvs([{ name: 'tensorkiln-cpu', backendName: 'tensorkiln-cpu', flags: {}, isDataSync: true }]);
require(${JSON.stringify(join(CORE, 'tests.js'))});
const platform = env().platformName;
env().platformName = 'browser';
${BROWSER_MARKED.map((name) => `require(${JSON.stringify(join(CORE, `${name}.js`))});`).join('\n')}
env().platformName = platform;
`,
  );
  const outfile = join(folder, 'specs.cjs');
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    ignoreAnnotations: true,
    logLevel: 'error',
    plugins: [
      {
        name: 'one-tfjs-core',
        setup(context) {
          context.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: join(CORE, 'index.js') }));
          context.onResolve({ filter: /tfjs-gradients\.js$/ }, () => ({ path: 'registered above', namespace: 'none' }));
          // In a bundle of one CommonJS file the modules would no longer know where they are.
          context.onLoad({ filter: /[\\/]dist[\\/].*\.js$/, namespace: 'file' }, ({ path }) =>
            path.startsWith(join(ROOT, 'dist'))
              ? { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)) }
              : undefined,
          );
          context.onLoad({ filter: /.*/, namespace: 'none' }, () => ({
            contents: 'export const gradientConfigs = []; export const chainedMethods = {};',
          }));
        },
      },
    ],
  });
  return outfile;
}
