/**
 * The element types of the safetensors format that Espalier reads, and what a tensor in a file looks like.
 *
 * The format is little-endian, and so is every machine that runs JavaScript today; views are therefore never byte-swapped.
 */

/** Bytes of one element of each readable dtype. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/** A dtype as the format spells it. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** Whether `text` names a dtype that Espalier reads. */
export function isDtype(text: unknown): text is Dtype {
  return typeof text === 'string' && Object.hasOwn(DTYPE_BYTES, text);
}

/** A tensor in a file: row-major, its bytes a view into the file's (not a copy). */
export interface TensorView {
  readonly name: string;
  readonly dtype: Dtype;
  /** Dimensions, outermost first; `[]` is a scalar, a 0 makes a tensor without elements. */
  readonly shape: readonly number[];
  /** Exactly the product of `shape` times the dtype's size; may start at any address. */
  readonly bytes: Uint8Array;
  /** The file it came from, for messages. */
  readonly file?: string;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
