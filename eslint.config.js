import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const nodeGlobals = Object.fromEntries(
  [
    'AbortController',
    'setImmediate',
    'WeakRef',
    'FinalizationRegistry',
    'gc',
    'Buffer',
    'URL',
    'clearTimeout',
    'console',
    'performance',
    'process',
    'setTimeout',
  ].map((name) => [name, 'readonly']),
);

export default tseslint.config(
  { ignores: ['build/', 'build-*/', 'dist/', 'runs/', 'coverage/', 'ts/*/proto/*_pb.ts', 'tests/fixtures/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.tests.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      // `== null` is the short form for null or undefined; tfjs-core uses both.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-unused-expressions': ['error', { allowShortCircuit: true, allowTernary: true }],
      // The typings of tfjs-core declare as present what may be absent, and a check is not wrong for being careful.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // A cast to a narrower layer or benchmark class is checked by hand where it stands.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        // import('x') as a type is how an optional package is named without being loaded.
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Numbers in messages are the rule here: shapes, counts, times.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Index loops over typed arrays are the fast and clear form; noUncheckedIndexedAccess then asks for `!` on each element.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    // Libraries print nothing; only the command line and the scripts do.
    files: ['ts/**/*.ts'],
    ignores: ['ts/cli/**'],
    rules: { 'no-console': 'error' },
  },
  {
    // expect.stringContaining and its kind are typed `any`.
    files: ['tests/**/*.ts'],
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off', '@typescript-eslint/no-confusing-void-expression': 'off' },
  },
  { files: ['**/*.{js,mjs}'], languageOptions: { globals: nodeGlobals } },
);
