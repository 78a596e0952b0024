// Bundles tfjs-core's own specs with the compiled backend, so that both share one copy of tfjs-core.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const require = createRequire(join(ROOT, 'package.json'));
const CORE = join(dirname(require.resolve('@tensorflow/tfjs-core/package.json')), 'dist');

/** Spec files with blocks marked for the browser of which some or all need none. */
const BROWSER_MARKED =
  /dist[\\/](io[\\/](http|io_utils|passthrough|router_registry|weights_loader)|ops[\\/](depth_to_space|from_pixels|image[\\/]rotate_with_offset))_test\.js$/;

/** As shipped, two values that are not finite count as equal, whatever they are. */
const LENIENT = 'if (!isFinite(a) && !isFinite(e)) {\n        return true;';
const STRICT = 'if (!isFinite(a) && !isFinite(e)) {\n        return a === e || (a !== a && e !== e);';

/** The tolerance of comparisons that name none; run.mjs sets the global per spec. */
const FIXED_TOLERANCE = 'return ENGINE.backend.floatPrecision() === 32 ? TEST_EPSILON_FLOAT32 :';
const SET_TOLERANCE = 'return ENGINE.backend.floatPrecision() === 32 ? (globalThis.specTolerance ?? TEST_EPSILON_FLOAT32) :';

function replaceOnce(source, before, after) {
  if (source.split(before).length !== 2) throw new Error(`test_util.js compares otherwise than expected: adapt '${before}'`);
  return source.replace(before, after);
}

function comparing(source, strict) {
  const adjustable = replaceOnce(source, FIXED_TOLERANCE, SET_TOLERANCE);
  return strict ? replaceOnce(adjustable, LENIENT, STRICT) : adjustable;
}

/**
 * In a bundle of one CommonJS file our modules would no longer know where they are: they are told, from where the bundle lies.
 *
 * @param root from the bundle's folder to that of the package
 * @param edit (path, source) => source, applied to the compiled files
 */
export function packagePaths(root, edit = (_, source) => source) {
  return {
    name: 'package-paths',
    setup(context) {
      context.onLoad({ filter: /[\\/]dist[\\/].*\.js$/, namespace: 'file' }, ({ path }) => {
        if (!path.startsWith(join(ROOT, 'dist'))) return undefined;
        const place = JSON.stringify(`${root}/${relative(ROOT, path).split(sep).join('/')}`);
        // Not by require: a module may have a `require` of its own.
        const builtin = (name) => `process.getBuiltinModule('node:${name}')`;
        const url = `${builtin('url')}.pathToFileURL(${builtin('path')}.join(__dirname, ${place})).href`;
        return { contents: edit(path, readFileSync(path, 'utf8')).replaceAll('import.meta.url', url) };
      });
    },
  };
}

/**
 * Writes the bundle to build/conformance and returns its path.
 *
 * @param options.strict whether NaN and the infinities must be equal to what is expected
 * @param options.name   name of the bundle; those of two runs at once must differ
 * @param options.edit   (path, source) => source, applied to the backend's compiled files
 * @param options.backend name of the backend to test; default tensorkiln-cpu
 * @param options.outfile where the bundle goes; default build/conformance
 * @param options.root    from the bundle's folder to that of the package in which it is going to run
 */
export async function bundleSpecs({
  strict,
  name = strict ? 'specs-strict' : 'specs',
  edit,
  backend = 'tensorkiln-cpu',
  outfile: wanted,
  root = '../..',
}) {
  const folder = join(ROOT, 'build', 'conformance');
  mkdirSync(folder, { recursive: true });
  const entry = join(folder, `${backend}.mjs`);
  writeFileSync(
    entry,
    `
import ${JSON.stringify(join(CORE, 'register_all_gradients.js'))};
import ${JSON.stringify(join(CORE, 'public/chained_ops/register_all_chained_ops.js'))};
import ${JSON.stringify(join(ROOT, 'dist/backend/register.js'))};
import { setTestEnvs } from ${JSON.stringify(join(CORE, 'jasmine_util.js'))};
setTestEnvs([{ name: '${backend}', backendName: '${backend}', flags: {}, isDataSync: true }]);
require(${JSON.stringify(join(CORE, 'tests.js'))});
`,
  );
  const outfile = wanted ?? join(folder, `${name}.cjs`);
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
      packagePaths(root, edit),
      {
        name: 'one-tfjs-core',
        setup(context) {
          context.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: join(CORE, 'index.js') }));
          // The specs must pass without a line of the stock backends.
          context.onResolve({ filter: /^@tensorflow\/tfjs-backend-/ }, ({ path, importer }) => ({
            errors: [{ text: `${path}, imported by ${importer}: the specs run without the stock backends` }],
          }));
          context.onResolve({ filter: /tfjs-gradients\.js$/ }, () => ({ path: 'registered above', namespace: 'none' }));
          context.onLoad({ filter: /tfjs-core[\\/]dist[\\/]test_util\.js$/ }, ({ path }) => ({
            contents: comparing(readFileSync(path, 'utf8'), strict),
          }));
          // No condition in place of the browser's; the imports of its names stay and are not used.
          context.onLoad({ filter: BROWSER_MARKED }, ({ path }) => ({
            contents: readFileSync(path, 'utf8').replace(/(describeWithFlags\([^\n]*?), (?:BROWSER|CHROME)_ENVS,/g, '$1, {},'),
          }));
          context.onLoad({ filter: /.*/, namespace: 'none' }, () => ({
            contents: 'export const gradientConfigs = []; export const chainedMethods = {};',
          }));
        },
      },
    ],
  });
  return outfile;
}
