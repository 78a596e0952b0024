// A two-layer classifier trained through tfjs-core's own API: the same numbers wherever it runs.

/** Pseudo-random numbers in [0, 1) from a seed (mulberry32, public domain by T. Ettinger). */
function generator(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Trains on rows whose class is the sign pattern of two features. Returns losses and the final weights as one array. */
export async function trainSmallModel(tf, { seed, steps, hidden = 64, rows = 256 }) {
  const random = generator(seed);
  const values = (count, scale) => Float32Array.from({ length: count }, () => (random() * 2 - 1) * scale);
  const features = values(rows * 8, 1);
  const labels = Float32Array.from({ length: rows }, (_, row) => (features[row * 8] * features[row * 8 + 1] > 0 ? 1 : 0));
  const x = tf.tensor2d(features, [rows, 8]);
  const y = tf.tensor2d(labels, [rows, 1]);
  const w1 = tf.variable(tf.tensor2d(values(8 * hidden, 0.5), [8, hidden]));
  const w2 = tf.variable(tf.tensor2d(values(hidden, 0.5), [hidden, 1]));
  const losses = [];
  for (let step = 0; step < steps; step++) {
    const loss = tf.tidy(() => {
      const { value, grads } = tf.variableGrads(
        () => tf.losses.meanSquaredError(y, x.matMul(w1).relu().matMul(w2).sigmoid()),
        [w1, w2],
      );
      for (const variable of [w1, w2]) variable.assign(variable.sub(grads[variable.name].mul(0.5)));
      return value;
    });
    losses.push((await loss.data())[0]);
    loss.dispose();
  }
  const weights = [...(await w1.data()), ...(await w2.data())];
  tf.dispose([x, y, w1, w2]);
  return { losses, weights };
}
