import { describe, expect, it } from 'vitest';
import { filesUnder, textOf } from '../support/files.js';

interface Row {
  readonly macro: string;
  readonly name: string;
  readonly workspace: boolean;
}

const rows: Row[] = [...textOf('native/ops/ops.def').matchAll(/^(TK_OP|TK_UNARY|TK_BINARY)\((\w+),(.*)\)$/gm)].map((match) => ({
  macro: match[1] ?? '',
  name: match[2] ?? '',
  workspace: /, own$/.test(match[3] ?? ''),
}));
const cpuFiles = filesUnder('native/ops').filter((file) => file.endsWith('_cpu.cc'));
const cpuText = cpuFiles.map((file) => textOf(file).replace(/\/\/.*$/gm, '')).join('\n');

/** Ops whose body a file defines by name, be it as a function or through the family's own macro. */
function definedNames(pattern: RegExp): string[] {
  return [...cpuText.matchAll(pattern)].map((match) => match[1] ?? '');
}

describe('ops.def and the bodies', () => {
  it('lists each op once', () => {
    const names = rows.map((row) => row.name);
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('has a CPU body for every op that no family instantiates from a list', () => {
    const byName = new Set(definedNames(/\b(\w+)_cpu\b/g));
    // A family macro pastes the name: OP(reduce_sum, ...) becomes reduce_sum_cpu.
    const byMacro = new Set(definedNames(/^\s*(?:TK_)?[A-Z][A-Z_]*\((\w+)[,)]/gm));
    const wanted = rows.filter((row) => row.macro === 'TK_OP').map((row) => row.name);
    expect(wanted.filter((name) => !byName.has(name) && !byMacro.has(name))).toEqual([]);
  });

  it('has a workspace function for every op that declares one', () => {
    const defined = new Set(definedNames(/\b(\w+)_workspace\b/g));
    expect(rows.filter((row) => row.workspace && !defined.has(row.name)).map((row) => row.name)).toEqual([]);
  });

  it('lists every body that a file defines', () => {
    const listed = new Set(rows.map((row) => row.name));
    const defined = definedNames(/^void (\w+)_cpu\(const OpCall&/gm);
    expect(defined.filter((name) => !listed.has(name))).toEqual([]);
  });

  it('has a contract in a header beside every CPU file', () => {
    const headers = new Set(filesUnder('native/ops').filter((file) => file.endsWith('.h')));
    const families = cpuFiles.map((file) => file.slice(0, file.lastIndexOf('/')));
    expect(families.filter((folder) => ![...headers].some((header) => header.startsWith(`${folder}/`)))).toEqual([]);
  });
});
