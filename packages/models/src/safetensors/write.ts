/**
 * Writing safetensors: the same tensors always give the same bytes, every tensor lies aligned, and none is left out.
 */
import { CheckpointError } from '../errors.ts';
import { DTYPE_BYTES, type Dtype, elementCount } from './dtype.ts';

/** A tensor to write. */
export interface TensorData {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Row-major, little-endian, exactly shape × size bytes: raw bytes, or a typed array of the dtype. */
  readonly data: ArrayBufferView<ArrayBufferLike>;
}

/** The typed array of each dtype (F16 and BF16 as bit patterns); raw bytes are always allowed. */
const ARRAY_OF: Readonly<Record<Dtype, string>> = {
  F64: 'Float64Array',
  I64: 'BigInt64Array',
  F32: 'Float32Array',
  I32: 'Int32Array',
  F16: 'Uint16Array',
  BF16: 'Uint16Array',
  I16: 'Int16Array',
  I8: 'Int8Array',
  U8: 'Uint8Array',
  BOOL: 'Uint8Array',
};

/**
 * Writes a safetensors file: larger elements first, then by name, without holes, the header padded to 8 bytes, so that
 * every tensor can be read in place.
 *
 * @throws CheckpointError M019 for a tensor whose data does not fit its dtype and shape, or a bad or repeated name
 */
export function writeSafetensors(
  tensors: readonly TensorData[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const names = new Set<string>();
  for (const tensor of tensors) {
    check(tensor);
    if (names.has(tensor.name)) throw unwritable(tensor.name, 'the name is used twice');
    names.add(tensor.name);
  }
  const sorted = tensors.toSorted(
    (a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  let end = 0;
  // Fields are joined by hand: an object would move names that look like numbers to the front.
  const fields = metadata === undefined ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  for (const { name, dtype, shape, data } of sorted) {
    const begin = end;
    end += data.byteLength;
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  const header = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(8 + padded + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.fill(0x20, 8, 8 + padded);
  file.set(header, 8);
  let at = 8 + padded;
  for (const { data } of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

function check({ name, dtype, shape, data }: TensorData): void {
  if (name === '__metadata__') throw unwritable(name, 'the name is reserved by the format');
  if (!name.isWellFormed()) throw unwritable(name, 'the name is not well-formed text (a lone surrogate)');
  if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
    throw unwritable(name, `shape [${shape.join(', ')}] has a dimension that is not a whole number`);
  }
  const kind = Object.prototype.toString.call(data).slice(8, -1);
  if (kind !== 'Uint8Array' && kind !== ARRAY_OF[dtype]) {
    throw unwritable(name, `data of ${dtype} must be a ${ARRAY_OF[dtype]} or raw bytes, not a ${kind}`);
  }
  const bytes = elementCount(shape) * DTYPE_BYTES[dtype];
  if (data.byteLength !== bytes) {
    throw unwritable(name, `shape [${shape.join(', ')}] of ${dtype} needs ${bytes} bytes, data has ${data.byteLength}`);
  }
}

function unwritable(tensor: string, detail: string): CheckpointError {
  return new CheckpointError('M019', detail, { tensor });
}
