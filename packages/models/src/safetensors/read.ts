/**
 * Reading safetensors: a file's bytes become named views, without a copy and without trusting anything in them.
 *
 * Format: 8 bytes little-endian header length, a JSON header, the data
 * (https://github.com/huggingface/safetensors#format).
 */
import type { TensorView } from './dtype.ts';
import { readHeader } from './header.ts';

/** A safetensors file in memory. */
export interface SafetensorsFile {
  /** The header's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorView>;
}

/**
 * Reads a whole safetensors file. The views share `bytes`, which must not change while they are used.
 *
 * @param file named in errors
 * @throws CheckpointError M006…M015 for every file that breaks the format
 */
export function readSafetensors(bytes: Uint8Array, file?: string): SafetensorsFile {
  const { metadata, entries, dataStart } = readHeader(bytes, file);
  // A plain view, also of a Node Buffer, whose `slice` would not copy.
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + dataStart, bytes.byteLength - dataStart);
  const tensors = new Map<string, TensorView>();
  for (const { name, dtype, shape, begin, end } of entries) {
    const view = { name, dtype, shape, bytes: data.subarray(begin, end) };
    tensors.set(name, file === undefined ? view : { ...view, file });
  }
  return { metadata, tensors };
}
