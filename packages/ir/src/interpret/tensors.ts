/**
 * Tensors on their way into the interpreter: checked against their declaration and brought into an array that the
 * emitted loops read as numbers. Float32Array, Int32Array and Int8Array are read as they are, without a copy; f16 bit
 * patterns are decoded once per array.
 */
import type { StorageType, TensorDecl } from '../layer-ir.ts';
import { evaluate, format } from '../size.ts';
import { InterpretError } from './errors.ts';

/** What emitted loops read: every element is exact as a JavaScript number. */
export type Readable = Float64Array | Float32Array | Int32Array | Int8Array;

/** The number that the 16 bits of an IEEE 754 half stand for. */
export function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const decoded = new WeakMap<Uint16Array, Float32Array>();

function decodeHalves(bits: Uint16Array): Float32Array {
  const known = decoded.get(bits);
  if (known !== undefined) return known;
  const values = Float32Array.from(bits, decodeHalf);
  decoded.set(bits, values);
  return values;
}

/** The shape of a tensor as numbers. Throws InterpretError for a negative size or 2^31 elements and more. */
export function shapeOf(tensor: TensorDecl, dims: ReadonlyMap<string, number>): readonly number[] {
  const shape = tensor.shape.map((size) => evaluate(size, dims));
  const count = shape.reduce((product, size) => product * size, 1);
  if (shape.some((size) => size < 0) || count >= 2 ** 31) {
    const symbolic = tensor.shape.map(format).join(', ');
    throw new InterpretError(
      'bad-shape',
      tensor.name,
      `tensor ${tensor.name}[${symbolic}] would have shape [${shape.join(', ')}]: sizes must not be negative and a tensor holds less than 2^31 elements`,
    );
  }
  return shape;
}

/** The number of elements of a shape; 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

const limits: Readonly<Record<'i32' | 'i8', readonly [number, number]>> = {
  i32: [-2147483648, 2147483647],
  i8: [-128, 127],
};

function integers(name: string, storage: 'i32' | 'i8', values: ArrayLike<number>): Int32Array {
  const [least, most] = limits[storage];
  return Int32Array.from({ length: values.length }, (_, i) => {
    const value = values[i];
    if (value === undefined || !Number.isInteger(value) || value < least || value > most) {
      throw new InterpretError('bad-element', name, `tensor ${name}: element ${i} is ${value}, which is no ${storage}`);
    }
    return value;
  });
}

function readable(name: string, storage: StorageType, values: ArrayLike<number>): Readable {
  if (storage === 'f16' && values instanceof Uint16Array) return decodeHalves(values);
  if (storage === 'f32' || storage === 'f16') {
    return values instanceof Float32Array || values instanceof Float64Array ? values : Float64Array.from(values);
  }
  if (values instanceof Int8Array || (storage === 'i32' && values instanceof Int32Array)) return values;
  return integers(name, storage, values);
}

/**
 * Checks an input or weight and makes it readable. f16 tensors are given as bit patterns (Uint16Array) or as numbers.
 * Throws InterpretError: wrong-length, bad-element.
 */
export function bindTensor(tensor: TensorDecl, shape: readonly number[], values: ArrayLike<number>): Readable {
  const expected = elementCount(shape);
  if (values.length !== expected) {
    const symbolic = tensor.shape.map(format).join(', ');
    throw new InterpretError(
      'wrong-length',
      tensor.name,
      `${tensor.role} ${tensor.name}[${symbolic}] has shape [${shape.join(', ')}], so ${expected} elements; got ${values.length}`,
    );
  }
  return readable(tensor.name, tensor.storage, values);
}
