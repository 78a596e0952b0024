import { join } from 'node:path';
import prettier from 'prettier';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../ts/cli/docs.js';
import { MEANINGS } from '../../ts/run/config/meanings.js';
import { configJsonSchema, leaves } from '../../ts/run/config/reference.js';
import { ROOT, textOf } from '../support/files.js';

const files = Object.entries(generatedFiles());

describe('generated files', () => {
  it.each(files)('%s is what `npm run docs` writes', async (name, content) => {
    const path = join(ROOT, name);
    const options = await prettier.resolveConfig(path);
    expect(textOf(name)).toBe(await prettier.format(content, { ...options, filepath: path }));
  });

  it('explain keys that exist', () => {
    const keys = new Set(leaves([]).map((path) => path.join('.')));
    expect(Object.keys(MEANINGS).filter((key) => !keys.has(key))).toEqual([]);
  });

  it('the JSON Schema has every section, refuses others, and describes its keys', () => {
    const schema = configJsonSchema() as {
      additionalProperties: boolean;
      properties: Record<
        string,
        { description?: string; anyOf?: unknown[]; properties?: Record<string, { description?: string }> }
      >;
    };
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toEqual(
      expect.arrayContaining(['defaults', 'data', 'model', 'training', 'targets']),
    );
    expect(schema.properties['targets']?.anyOf).toHaveLength(2);
    expect(schema.properties['training']?.properties?.['epochs']).toMatchObject({
      type: 'integer',
      minimum: 1,
      default: 100,
      description: 'an integer >= 1',
    });
  });
});
