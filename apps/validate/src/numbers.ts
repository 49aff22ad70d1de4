/** Tensors on the host as the validator compares them, and small arithmetic on shapes. */

/** Row-major elements of a computed or recorded tensor. */
export type Numbers = Float32Array | Float64Array | Int32Array;

/** A tensor with its shape. */
export interface Tensor {
  readonly data: Numbers;
  readonly shape: readonly number[];
}

/** Number of elements of a shape; 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The largest |element|; 0 for none, NaN when one is NaN. */
export function largest(values: ArrayLike<number>): number {
  let top = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (Number.isNaN(magnitude)) return Number.NaN;
    if (magnitude > top) top = magnitude;
  }
  return top;
}

/** Groups in first-seen order. */
export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
