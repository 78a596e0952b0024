// Writes on with a model that train.mjs saved:
//   node examples/shakespeare/sample.mjs <folder> [--start 'ROMEO:'] [--count 500] [--temperature 0.8] [--seed 0]
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import 'tensorkiln';
import { loadSafetensorsModel } from 'tensorkiln/export';
import { decode, encode, sample } from './text.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    start: { type: 'string', default: '\n' },
    count: { type: 'string', default: '500' },
    temperature: { type: 'string', default: '0.8' },
    seed: { type: 'string', default: '0' },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error('name the folder that train.mjs --output wrote');
const { characters, length } = JSON.parse(readFileSync(`${folder}/text.json`, 'utf8'));
const model = await loadSafetensorsModel(`${folder}/model.safetensors`);
const [count, temperature, seed] = [values.count, values.temperature, values.seed].map(Number);
const start = encode(values.start, [...characters]);
console.log(values.start + decode(await sample(model, { start, count, length, temperature, seed }), [...characters]));
