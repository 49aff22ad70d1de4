/** cuBLASLt, timed: the products of a layer, one after another on the stream, without biases and activations. */
import type { CudaDevice } from '@espalier/runtime-cuda';
import type { Subject } from '../report.ts';
import type { CublasLt } from './cublas.ts';
import { boundFor, fillRandom, fromBf16, toBf16 } from './data.ts';
import { type BenchTools, rates } from './layers.ts';
import { allSampled, compareRows, productRows, sampledTokens } from './reference.ts';
import { everyPrecision, type Precision, type ProductWork, precisions } from './works.ts';

/** Times a chain of products in all precisions. */
export async function timeProducts(
  tools: BenchTools,
  device: CudaDevice,
  lt: CublasLt,
  work: ProductWork,
): Promise<void> {
  const { inputs, tokens: counts } = tools;
  const [depth = 0, ...outs] = work.widths;
  const most = Math.max(...counts);
  const x = inputs.first(most * depth);
  const matrices = outs.map((columns, i) => {
    const wide = work.widths[i] as number;
    return fillRandom(new Float32Array(columns * wide), 31 + i, boundFor(wide));
  });
  const known = productRows(matrices, x, depth, allSampled(counts));
  for (const precision of everyPrecision) {
    const subject = (tokens: number): Subject => ({ by: 'cuBLASLt', work: work.name, precision, tokens });
    using memory = memoryOf(device, precision, { x, matrices, outs, most });
    for (const tokens of counts)
      await tools.attempt(subject(tokens), async () => {
        using stack = new DisposableStack();
        const chain = outs.map((columns, i) =>
          stack.use(
            lt.prepare({
              precision,
              tokens,
              depth: work.widths[i] as number,
              columns,
              x: memory.states[i] as typeof memory.y,
              w: memory.weights[i] as typeof memory.y,
              y: memory.states[i + 1] as typeof memory.y,
            }),
          ),
        );
        const enqueue = (): void => {
          for (const product of chain) product.enqueue();
        };
        for (const state of memory.states.slice(1)) state.fill(0xff);
        enqueue();
        const rows = new Map<number, Float32Array>();
        for (const t of sampledTokens(tokens)) rows.set(t, await memory.row(t));
        const row = (t: number) => rows.get(t) ?? [];
        const error = compareRows(known, sampledTokens(tokens), row, precisions[precision].tolerance);
        const timing = await tools.stopwatch.measure((count, step) => device.timed(count, (i) => step(i, enqueue)));
        // Weights, inputs and outputs once, as ours are counted.
        const elements = matrices.reduce((n, m) => n + m.length, 0) + tokens * (depth + (outs.at(-1) ?? 0));
        const per = { flops: work.flops, bytes: memory.elementBytes * elements };
        return {
          ...timing,
          ...rates(timing.backToBack, tokens, per),
          error,
          launches: chain.length,
          library: lt.path,
          ...(work.note === undefined ? {} : { note: work.note }),
        };
      });
  }
}

interface Parts {
  readonly x: Float32Array;
  readonly matrices: readonly Float32Array[];
  readonly outs: readonly number[];
  readonly most: number;
}

/** Inputs, weights, and room for what lies between and after, in the precision's elements. */
function memoryOf(device: CudaDevice, precision: Precision, { x, matrices, outs, most }: Parts) {
  const stack = new DisposableStack();
  const half = precision === 'bf16';
  const elementBytes = half ? 2 : 4;
  const upload = (name: string, values: Float32Array) => {
    const buffer = stack.use(device.createBuffer(values.length * elementBytes, name));
    buffer.write(half ? toBf16(values) : values);
    return buffer;
  };
  const weights = matrices.map((matrix, i) => upload(`w${i}`, matrix));
  const made = outs.map((columns, i) => stack.use(device.createBuffer(most * columns * elementBytes, `y${i}`)));
  const states = [upload('x', x), ...made];
  const y = states.at(-1) as (typeof states)[number];
  const columns = outs.at(-1) ?? 0;
  return {
    elementBytes,
    weights,
    states,
    y,
    /** The last product's output for a token. */
    row: async (token: number): Promise<Float32Array> => {
      const { buffer } = await y.read(token * columns * elementBytes, columns * elementBytes);
      return half ? fromBf16(new Uint16Array(buffer)) : new Float32Array(buffer);
    },
    [Symbol.dispose]: () => stack.dispose(),
  };
}
