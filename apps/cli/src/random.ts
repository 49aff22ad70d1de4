/** Random weights and inputs for a layer, from a seed: the same numbers on every machine. */
import { type LayerIR, Sizes, type StorageType } from '@espalier/ir';

export type Numbers = Float32Array | Int32Array | Uint16Array | Int8Array;

/** Uniform numbers in [0, 1), by mulberry32. */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The bits of a number as f16, towards zero; what is too small to be normal becomes 0. */
function halfBits(value: number): number {
  const bits = new Int32Array(new Float32Array([value]).buffer)[0] ?? 0;
  const exponent = ((bits >> 23) & 0xff) - 112;
  const sign = (bits >> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (Math.min(30, exponent) << 10) | ((bits >> 13) & 0x3ff);
}

/**
 * All inputs and weights of a layer at these dims, row-major: normal numbers, weights scaled by their last axis so that sums stay
 * near 1; integers from 0 below `integers[name]`, or below 2.
 */
export function randomTensors(
  layer: LayerIR,
  dims: Readonly<Record<string, number>>,
  seed: number,
  integers: ReadonlyMap<string, number>,
): Readonly<Record<string, Numbers>> {
  const values = new Map(Object.entries(dims));
  const flat = uniform(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - flat())) * Math.cos(2 * Math.PI * flat());
  const tensors: Record<string, Numbers> = {};
  for (const { name, role, storage, shape } of layer.tensors) {
    if (role !== 'input' && role !== 'weight') continue;
    const sizes = shape.map((size) => Sizes.evaluate(size, values));
    const length = sizes.reduce((product, size) => product * size, 1);
    const scale = role === 'weight' && sizes.length > 1 ? 1 / Math.sqrt(Math.max(1, sizes.at(-1) ?? 1)) : 1;
    tensors[name] = numbers(storage, length, () => normal() * scale, flat, integers.get(name) ?? 2);
  }
  return tensors;
}

function numbers(
  storage: StorageType,
  length: number,
  normal: () => number,
  flat: () => number,
  below: number,
): Numbers {
  switch (storage) {
    case 'f32':
      return Float32Array.from({ length }, normal);
    case 'f16':
      return Uint16Array.from({ length }, () => halfBits(normal()));
    case 'i32':
      return Int32Array.from({ length }, () => Math.floor(flat() * below));
    case 'i8':
      return Int8Array.from({ length }, () => Math.floor(flat() * 255) - 127);
  }
}
