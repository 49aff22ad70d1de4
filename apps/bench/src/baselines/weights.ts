/** Weights of a single layer, as baselines take them. */
import type { Work } from '../contract.ts';

/** A weight as float32 numbers, whatever it is stored as. Throws for one that the layer does not have. */
export function weight(work: Work, name: string): Float32Array {
  const data = work.graph.weights.get(name)?.data;
  if (data === undefined) throw new Error(`${work.name} has no weight ${name}`);
  if (data instanceof Float32Array) return data;
  return Float32Array.from(
    data instanceof Uint16Array ? new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length) : data,
  );
}

/** A weight as the bits of half-precision numbers; null if rounding would change any. */
export function halfWeight(work: Work, name: string): Uint16Array | null {
  const data = work.graph.weights.get(name)?.data;
  if (data instanceof Uint16Array) return data;
  const values = weight(work, name);
  const half = Float16Array.from(values);
  return half.every((h, i) => h === values[i]) ? new Uint16Array(half.buffer) : null;
}

/** A matrix [rows, columns] turned over, as engines want it whose products read the right operand by rows. */
export function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(matrix.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = matrix[i * columns + j] as number;
  return out;
}
