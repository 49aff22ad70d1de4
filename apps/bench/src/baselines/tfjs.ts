/** TensorFlow.js on its WebAssembly backend: matrix products and an erf GELU of its own operations. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Absence, Baseline } from '../contract.ts';
import { transposed, weight } from './weights.ts';

/** Asked for more it would run on one all the same (its flag for threads is off in Node), and say nothing. */
const oneThread: Absence = { reason: 'in Node it runs on one thread only' };

export const tfjsWasm: Baseline = {
  name: 'tfjs-wasm',
  title: 'TensorFlow.js, WebAssembly backend, run in Node',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const tf = await import('@tensorflow/tfjs-core');
    const backend = await import('@tensorflow/tfjs-backend-wasm');
    const folder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json'));
    backend.setWasmPaths(`${folder}/wasm-out/`);
    await tf.setBackend('wasm');
    await tf.ready();
    const [hidden = 0, width = 0] = work.graph.weights.get('w1')?.shape ?? [];
    const x = tf.tensor2d(work.inputs['x'] as Float32Array, [work.tokens, width]);
    // Transposed once: with transposed operands its products take another, slower path.
    const w1 = tf.tensor2d(transposed(weight(work, 'w1'), hidden, width), [width, hidden]);
    const b1 = tf.tensor1d(weight(work, 'b1'));
    const w2 = tf.tensor2d(transposed(weight(work, 'w2'), width, hidden), [hidden, width]);
    const b2 = tf.tensor1d(weight(work, 'b2'));
    let result = new Float32Array(0);
    return {
      run: () => {
        const y = tf.tidy(() => {
          const h = tf.add(tf.matMul(x, w1), b1);
          const activated = tf.mul(tf.mul(h, 0.5), tf.add(tf.erf(tf.mul(h, Math.SQRT1_2)), 1));
          return tf.add(tf.matMul(activated, w2), b2);
        });
        result = y.dataSync() as Float32Array<ArrayBuffer>;
        y.dispose();
      },
      output: () => result,
      dispose: () => tf.dispose([x, w1, b1, w2, b2]),
    };
  },
};
