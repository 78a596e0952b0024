import { describe, expect, it } from 'vitest';
import { ERROR_CODES, TensorkilnError, isTensorkilnError } from '../../ts/errors.js';
import { filesUnder, textOf } from '../support/files.js';

const codes = Object.keys(ERROR_CODES);

describe('error codes', () => {
  it('are those of docs/errors.md, with the same meaning', () => {
    const documented = [...textOf('docs/errors.md').matchAll(/^\| `(E_[A-Z_]+)` +\| (.*?) +\|/gm)];
    expect(Object.fromEntries(documented.map(([, code, meaning]) => [code, meaning]))).toEqual(ERROR_CODES);
  });

  it('are all that native code throws', () => {
    const thrown = filesUnder('native')
      .filter((file) => /\.(h|cc)$/.test(file))
      .flatMap((file) => [...textOf(file).matchAll(/"(E_[A-Z_]+)"/g)].map((match) => match[1]));
    expect(thrown.length).toBeGreaterThan(0);
    expect(thrown.filter((code) => !codes.includes(code ?? ''))).toEqual([]);
  });

  it('travel with the error and its cause', () => {
    const cause = new Error('underneath');
    const error = new TensorkilnError('E_SHAPE', '[matmul] inner sizes differ', { cause });
    expect(error).toMatchObject({ name: 'TensorkilnError', code: 'E_SHAPE', message: '[matmul] inner sizes differ', cause });
    expect(isTensorkilnError(error)).toBe(true);
  });

  it('are told from the codes of other errors', () => {
    expect(isTensorkilnError(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe(false);
    expect(isTensorkilnError({ code: 'E_SHAPE' })).toBe(false);
    expect(isTensorkilnError(new Error('x'))).toBe(false);
  });
});
