// Bundles tfjs-core's gradients and chained tensor methods into dist/backend/tfjs-gradients.js.
//
// In Node, importing @tensorflow/tfjs-core registers neither: its main file leaves them out, and the files that hold them
// cannot be imported by themselves. Bundled as they are they would bring a second engine along, so every import of a public
// name is turned into an import of the one loaded copy, and only helpers that tfjs-core does not export are bundled. The
// result registers nothing: it exports what would have been registered.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const require = createRequire(path.join(root, 'package.json'));
const core = '@tensorflow/tfjs-core';
const publicApi = require(core);
const forward = (file) => file.replaceAll('\\', '/');
const distribution = forward(path.join(path.dirname(require.resolve(`${core}/package.json`)), 'dist'));
const outDir = path.join(root, 'dist', 'backend');

const collector = `
  export const gradientConfigs = [];
  export const chainedMethods = {};
  export const registerGradient = (config) => { gradientConfigs.push(config); };
  export const getGlobalTensorClass = () => ({ prototype: chainedMethods });
`;

// Chained methods are set on the class that this function returns; everyone else only asks whether something is a tensor.
const tensorClass = 'getGlobalTensorClass';
const isChainedOp = (file) => file.includes('/public/chained_ops/');

// Internal modules whose exports are reached in another way than by their own name.
const special = {
  'engine.js': `import { engine } from '${core}'; export const ENGINE = engine();`,
  'ops/image/resize_bilinear.js': `import { image } from '${core}'; export const resizeBilinear = image.resizeBilinear;`,
  'ops/image/resize_nearest_neighbor.js': `import { image } from '${core}'; export const resizeNearestNeighbor = image.resizeNearestNeighbor;`,
};

// Modules that export everything through the namespace object `util`.
const utilModules = new Set(['util.js', 'util_base.js']);

let utilStatements = 0;
const importLine = /^import\s+(.+?)\s+from\s+'(\.[^']+)';$/gm;

/** Import statements of one internal module with public names taken from the loaded tfjs-core. */
function redirectImports(source, file) {
  const folder = path.posix.dirname(file);
  return source.replace(importLine, (statement, clause, specifier) => {
    const target = path.posix.relative(distribution, path.posix.join(folder, specifier)) + '.js';
    if (target in special) return statement;
    if (clause.startsWith('* as ')) {
      const name = clause.slice('* as '.length);
      return utilModules.has(target) ? `import { util as ${name} } from '${core}';` : statement;
    }
    const names = clause.replace(/[{}]/g, '').split(',').map((name) => name.trim());
    if (utilModules.has(target)) return utilStatement(names, file);
    return names.map((name) => importStatement(name, specifier, file)).join(' ');
  });
}

function importStatement(name, specifier, file) {
  if (name === 'registerGradient') return `import { registerGradient } from 'collector';`;
  if (name === tensorClass) {
    return isChainedOp(file)
      ? `import { ${tensorClass} } from 'collector';`
      : `import { Tensor as TensorClass } from '${core}'; const ${tensorClass} = () => TensorClass;`;
  }
  return `import { ${name} } from '${importedName(name) in publicApi ? core : specifier}';`;
}

function utilStatement(names, file) {
  const missing = names.filter((name) => !(importedName(name) in publicApi.util));
  if (missing.length > 0) fail(`${file}: tfjs-core's util has no ${missing.join(', ')}`);
  const bindings = names.map((name) => name.replace(' as ', ': ')).join(', ');
  const local = `publicUtil_${String(utilStatements++)}`;
  return `import { util as ${local} } from '${core}'; const { ${bindings} } = ${local};`;
}

function importedName(name) {
  return name.split(' as ')[0];
}

function fail(message) {
  throw new Error(`build-gradients: ${message}`);
}

const plugin = {
  name: 'tfjs-gradients',
  setup(context) {
    context.onResolve({ filter: /^collector$/ }, () => ({ path: 'collector', namespace: 'collector' }));
    context.onLoad({ filter: /.*/, namespace: 'collector' }, () => ({ contents: collector, resolveDir: root }));
    context.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: core, external: true }));
    context.onLoad({ filter: /tfjs-core[\\/]dist[\\/].*\.js$/ }, (loaded) => {
      const file = forward(loaded.path);
      const source = readFileSync(file, 'utf8').replace(/\n\/\/# sourceMappingURL=.*/, '');
      const contents = special[path.posix.relative(distribution, file)] ?? redirectImports(source, file);
      return { contents, loader: 'js', resolveDir: path.dirname(loaded.path) };
    });
  },
};

const result = await build({
  stdin: {
    contents: `
      import '${distribution}/register_all_gradients.js';
      import '${distribution}/public/chained_ops/register_all_chained_ops.js';
      export { gradientConfigs, chainedMethods } from 'collector';
    `,
    resolveDir: root,
  },
  bundle: true,
  write: false,
  metafile: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // The package lists only some files as having side effects; all of these have.
  ignoreAnnotations: true,
  legalComments: 'eof',
  plugins: [plugin],
});

const bundled = Object.keys(result.metafile.inputs);
const engines = bundled.filter((file) => /tfjs-core\/dist\/(tensor|kernel_registry|environment|tape|tensor_util)\.js$/.test(file));
if (engines.length > 0) fail(`the bundle would contain a second engine: ${engines.join(', ')}`);

mkdirSync(outDir, { recursive: true });
writeFileSync(path.join(outDir, 'tfjs-gradients.js'), result.outputFiles[0].contents);
writeFileSync(
  path.join(outDir, 'tfjs-gradients.d.ts'),
  `import type { GradConfig, Tensor } from '${core}';
/** Gradient configurations of tfjs-core, in its own order. */
export declare const gradientConfigs: readonly GradConfig[];
/** Chained methods of tensors by name, as \`x.add(y)\`. */
export declare const chainedMethods: Readonly<Record<string, (this: Tensor, ...args: never[]) => unknown>>;
`,
);
