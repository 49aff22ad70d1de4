/** Random numbers by the hundred million, and roundings of them: made cheaply, since a GPU machine waits meanwhile. */
import type { LayerIR, StorageType } from '@espalier/ir';
import { Sizes } from '@espalier/ir';

/** Fills with numbers between −most and most, by xorshift32: all that is asked of them is that they differ. */
export function fillRandom<A extends Float32Array>(values: A, seed: number, most: number): A {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  const scale = most / 2 ** 31;
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * scale;
  }
  return values;
}

/** The bound of uniform numbers whose variance is 1 / fan. */
export const boundFor = (fan: number): number => Math.sqrt(3 / Math.max(1, fan));

/** Biases: small beside what they are added to. */
const BIAS = 0.02;

/** A layer's weights as it stores them, f32 or f16: variance 1 / fan for matrices, small for biases. */
export function randomWeights(layer: LayerIR, seed: number): Readonly<Record<string, Float32Array | Uint16Array>> {
  const weights: Record<string, Float32Array | Uint16Array> = {};
  for (const [i, { name, role, storage, shape }] of layer.tensors.entries()) {
    if (role !== 'weight') continue;
    const extents = shape.map((size) => Sizes.constantOf(size) ?? 1);
    const isBias = name.startsWith('b');
    const values = new Float32Array(extents.reduce((a, b) => a * b, 1));
    fillRandom(values, seed + i, isBias ? BIAS : boundFor(extents.at(-1) ?? 1));
    weights[name] = stored(values, storage);
  }
  return weights;
}

function stored(values: Float32Array, storage: StorageType): Float32Array | Uint16Array {
  if (storage === 'f32') return values;
  if (storage === 'f16') return toF16(values);
  throw new RangeError(`random weights are f32 or f16, not ${storage}`);
}

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** The f16 bit pattern of each number, towards zero; 0 for those too small to be normal. */
export function toF16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const half = new Uint16Array(bits.length);
  for (let i = 0; i < half.length; i++) {
    const b = bits[i] as number;
    const exponent = ((b >>> 23) & 0xff) - 112;
    const sign = (b >>> 16) & 0x8000;
    half[i] = exponent <= 0 ? sign : sign | (Math.min(30, exponent) << 10) | ((b >>> 13) & 0x3ff);
  }
  return half;
}

/** The upper half of each float32, rounded to nearest even: bfloat16. */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const upper = new Uint16Array(bits.length);
  for (let i = 0; i < upper.length; i++) {
    const b = bits[i] as number;
    upper[i] = (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return upper;
}

/** The numbers that bfloat16 bits stand for. */
export const fromBf16 = (bits: Uint16Array): Float32Array =>
  new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);

/** Inputs that all works share: as many random numbers as the largest needs, made once, of variance 1. */
export class InputPool {
  #values = new Float32Array();

  /** The first `count` of them. */
  first(count: number): Float32Array {
    if (this.#values.length < count) this.#values = fillRandom(new Float32Array(count), 1, boundFor(1));
    return this.#values.subarray(0, count);
  }
}
