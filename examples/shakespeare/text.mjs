// What training and sampling share: the text, its characters as numbers, and the drawing of new ones.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';

const SHARED = fileURLToPath(new URL('../../../shared/data/tinyshakespeare/input.txt', import.meta.url));
const SOURCE = 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt';

export function readText(path = SHARED) {
  if (existsSync(path)) return readFileSync(path, 'utf8');
  throw new Error(`no text at ${path}: download ${SOURCE} and name it with --data`);
}

export function encode(text, characters) {
  const numberOf = new Map(characters.map((character, number) => [character, number]));
  return Int32Array.from(text, (character) => {
    const number = numberOf.get(character);
    if (number === undefined) throw new Error(`the model does not know ${JSON.stringify(character)}`);
    return number;
  });
}

export const decode = (tokens, characters) => Array.from(tokens, (token) => characters[token]).join('');

/** So many tokens that follow on `start`, each drawn by the model's scores of the last `length` before it. */
export async function sample(model, { start, count, length, seed = 0, temperature = 1 }) {
  const tokens = [...start];
  const draws = await tf.tidy(() => tf.randomUniform([count], 0, 1, 'float32', seed + 1)).data();
  for (const draw of draws) {
    const seen = tokens.slice(-length);
    // Rows of one length, so that one compiled form serves: what stands behind a place does not count for its score.
    const row = Int32Array.from({ length }, (_, place) => seen[place] ?? 0);
    const weights = tf.tidy(() => {
      const [scores] = model.apply([tf.tensor2d(row, [1, length], 'int32')]);
      return tf.softmax(tf.div(tf.reshape(scores, [length, -1]).gather(tf.tensor1d([seen.length - 1], 'int32')), temperature));
    });
    const shares = await weights.data();
    weights.dispose();
    let [token, rest] = [0, draw - shares[0]];
    while (rest >= 0 && token < shares.length - 1) rest -= shares[++token];
    tokens.push(token);
  }
  return tokens.slice(start.length);
}
