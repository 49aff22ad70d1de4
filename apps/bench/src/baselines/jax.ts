/** jax-js on its WebAssembly backend: the layer traced and compiled once by its `jit`. */
import type { Array as JaxArray } from '@jax-js/jax';
import type { Absence, Baseline } from '../contract.ts';
import { transposed, weight } from './weights.ts';

/** Its pool of workers needs the browser's Worker, which Node lacks. */
const oneThread: Absence = { reason: 'in Node it runs on one thread only' };

export const jaxJs: Baseline = {
  name: 'jax-js',
  title: 'jax-js, WebAssembly backend, jitted, run in Node',
  kinds: ['dense'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const { numpy: np, nn, jit, init, defaultDevice } = await import('@jax-js/jax');
    if (!(await init('wasm')).includes('wasm')) return { reason: 'its WebAssembly backend does not start here' };
    defaultDevice('wasm');
    const [hidden = 0, width = 0] = work.graph.weights.get('w1')?.shape ?? [];
    const array = (data: Float32Array, shape: number[]): JaxArray =>
      np.array(data as Float32Array<ArrayBuffer>, { shape });
    const operands = [
      array(work.inputs['x'] as Float32Array, [work.tokens, width]),
      // Turned over once, outside what is timed: its products read them so.
      array(transposed(weight(work, 'w1'), hidden, width), [width, hidden]),
      array(weight(work, 'b1'), [hidden]),
      array(transposed(weight(work, 'w2'), width, hidden), [hidden, width]),
      array(weight(work, 'b2'), [width]),
    ];
    const layer = jit((x: JaxArray, w1: JaxArray, b1: JaxArray, w2: JaxArray, b2: JaxArray) =>
      np.matmul(nn.gelu(np.matmul(x, w1).add(b1), { approximate: false }), w2).add(b2),
    );
    let result = new Float32Array(0);
    return {
      run: () => {
        // Every use of an array consumes a reference; `.ref` keeps the operands alive for the next run.
        const y = layer(...(operands.map((a) => a.ref) as [JaxArray, JaxArray, JaxArray, JaxArray, JaxArray]));
        result = y.dataSync() as Float32Array<ArrayBuffer>;
      },
      output: () => result,
      dispose: () => {
        for (const operand of operands) operand.dispose();
        layer.dispose();
      },
    };
  },
};
