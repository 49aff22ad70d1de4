/** jax-js on its WebAssembly backend: the layer traced and compiled once by its `jit`. */
import type { Array as JaxArray } from '@jax-js/jax';
import type { Absence, Baseline, Work } from '../contract.ts';

const weight = (work: Work, name: string): Float32Array => work.graph.weights.get(name)?.data as Float32Array;

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
    // Stored as its products read them fastest; copies are made here, not in the timed part.
    const columns = (name: string, shape: number[]): JaxArray => {
      const rows = weight(work, name);
      const [n = 0, m = 0] = shape;
      const data = new Float32Array(rows.length);
      for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) data[j * n + i] = rows[i * m + j] as number;
      return array(data, [m, n]);
    };
    const operands = [
      array(work.inputs['x'] as Float32Array, [work.tokens, width]),
      columns('w1', [hidden, width]),
      array(weight(work, 'b1'), [hidden]),
      columns('w2', [width, hidden]),
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
