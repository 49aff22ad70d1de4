/**
 * From the bytes of a tensor to numbers: without a copy where type and address allow, exactly where they do not.
 */
import { CheckpointError } from '../errors.ts';
import { DTYPE_BYTES, type TensorView } from './dtype.ts';

/**
 * The values of a floating tensor as F32. F32 at an aligned address is a view of the file's bytes; F16 and BF16 widen
 * exactly; F64 is rounded to nearest even.
 *
 * @throws CheckpointError M017 for an integer tensor, or a finite F64 beyond F32's range
 */
export function toFloat32(view: TensorView): Float32Array {
  switch (view.dtype) {
    case 'F32':
      return aligned(view, Float32Array);
    case 'F16':
      return halvesToFloat32(aligned(view, Uint16Array));
    case 'BF16': {
      const source = aligned(view, Uint16Array);
      const result = new Uint32Array(source.length);
      for (let i = 0; i < source.length; i++) result[i] = (source[i] as number) << 16;
      return new Float32Array(result.buffer);
    }
    case 'F64': {
      const source = aligned(view, Float64Array);
      const result = new Float32Array(source);
      for (let i = 0; i < source.length; i++) {
        if (!Number.isFinite(result[i]) && Number.isFinite(source[i])) {
          throw misfit(view, `element ${i} is ${source[i]}, beyond the range of F32`, 'Read it with toFloat64.');
        }
      }
      return result;
    }
    default:
      throw misfit(view, `holds ${view.dtype}, not floating-point numbers`, 'Read it with toInt32.');
  }
}

/**
 * The values of a floating tensor as F64, always exact. F64 at an aligned address is a view of the file's bytes.
 *
 * @throws CheckpointError M017 for an integer tensor
 */
export function toFloat64(view: TensorView): Float64Array {
  return view.dtype === 'F64' ? aligned(view, Float64Array) : new Float64Array(toFloat32(view));
}

/**
 * The values of an integer or boolean tensor as I32. I32 at an aligned address is a view of the file's bytes.
 *
 * @throws CheckpointError M017 for a floating tensor, or an I64 beyond I32's range (named by its index)
 */
export function toInt32(view: TensorView): Int32Array {
  switch (view.dtype) {
    case 'I32':
      return aligned(view, Int32Array);
    case 'I64': {
      const source = aligned(view, BigInt64Array);
      const result = new Int32Array(source.length);
      for (let i = 0; i < source.length; i++) {
        const value = Number(source[i]);
        if ((value | 0) !== value) {
          throw misfit(view, `element ${i} is ${source[i]}, beyond the range of I32`, 'Store smaller integers.');
        }
        result[i] = value;
      }
      return result;
    }
    case 'I16':
      return new Int32Array(aligned(view, Int16Array));
    case 'I8':
      return new Int32Array(aligned(view, Int8Array));
    case 'U8':
    case 'BOOL':
      return new Int32Array(view.bytes);
    default:
      throw misfit(view, `holds ${view.dtype}, not integers`, 'Read it with toFloat32.');
  }
}

/**
 * Refuses NaN and infinities in a floating tensor; integers always pass.
 *
 * @throws CheckpointError M016 naming tensor, value, flat index and the index by dimension
 */
export function checkFinite(view: TensorView): void {
  const index = firstNonFinite(view);
  if (index < 0) return;
  const bytes = DTYPE_BYTES[view.dtype];
  const one = { ...view, shape: [1], bytes: view.bytes.subarray(index * bytes, (index + 1) * bytes) };
  const position: number[] = [];
  let rest = index;
  for (const dimension of view.shape.toReversed()) {
    position.unshift(rest % dimension);
    rest = Math.floor(rest / dimension);
  }
  throw new CheckpointError('M016', `element ${index} (at [${position.join(', ')}]) is ${toFloat64(one)[0]}`, {
    file: view.file,
    tensor: view.name,
  });
}

/** The flat index of the first NaN or infinity, or -1: an exponent of all ones, looked for in the bits. */
function firstNonFinite(view: TensorView): number {
  switch (view.dtype) {
    case 'F64': {
      const words = aligned(view, Uint32Array);
      for (let i = 1; i < words.length; i += 2) if (((words[i] as number) & 0x7ff00000) === 0x7ff00000) return i >> 1;
      return -1;
    }
    case 'F32':
      return firstWithAll(aligned(view, Uint32Array), 0x7f800000);
    case 'F16':
      return firstWithAll(aligned(view, Uint16Array), 0x7c00);
    case 'BF16':
      return firstWithAll(aligned(view, Uint16Array), 0x7f80);
    default:
      return -1;
  }
}

function firstWithAll(words: Uint32Array | Uint16Array, mask: number): number {
  for (let i = 0; i < words.length; i++) if (((words[i] as number) & mask) === mask) return i;
  return -1;
}

interface ArrayKind<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

/** The bytes as elements of `Kind`: a view when the address allows, else a copy. */
function aligned<T>(view: TensorView, Kind: ArrayKind<T>): T {
  const { bytes } = view;
  const length = bytes.byteLength / Kind.BYTES_PER_ELEMENT;
  return bytes.byteOffset % Kind.BYTES_PER_ELEMENT === 0
    ? new Kind(bytes.buffer, bytes.byteOffset, length)
    : new Kind(new Uint8Array(bytes).buffer, 0, length);
}

let halfTable: Uint32Array | undefined;

/** Every F16 has an exact F32; a table of all 65536 is quicker than taking each apart. NaN payloads are kept. */
function halvesToFloat32(source: Uint16Array): Float32Array {
  halfTable ??= Uint32Array.from({ length: 0x10000 }, (_, bits) => halfToSingleBits(bits));
  const result = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) result[i] = halfTable[source[i] as number] as number;
  return new Float32Array(result.buffer);
}

function halfToSingleBits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal half is fraction · 2^-24: normal in F32 once its leading one is shifted out of the fraction.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function misfit(view: TensorView, detail: string, hint: string): CheckpointError {
  return new CheckpointError('M017', detail, { file: view.file, tensor: view.name, hint });
}
