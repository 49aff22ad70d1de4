/**
 * Weights stored as f16: every finite number that f16 can hold is read as what it is, zeros of both signs and denormals included, by
 * vectors and one by one, wherever it lies; layers have the same bits as with these numbers in f32; others are refused.
 */
import { compile, wasm } from '@espalier/codegen';
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import { type Layer, loadLayer } from '@espalier/runtime';
import { type WasmDevice, wasmCapabilities, wasmVariants } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';
import { randomTensors } from '../src/index.ts';

/** By the definition: sign, five bits of exponent, ten of fraction. */
function numberOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

/** All patterns but those of infinities and NaN. */
const finite = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
const patterns = (length: number): Uint16Array =>
  Uint16Array.from({ length }, (_, i) => finite[i % finite.length] as number);

const load = async (
  device: WasmDevice,
  layer: LayerIR,
  weights: Readonly<Record<string, Uint16Array | Float32Array>>,
) =>
  loadLayer(
    device,
    await compile(layer, { target: wasm, capabilities: wasmCapabilities(device.info), verify: 'each' }),
    weights,
  );

const outputOf = async (layer: Layer, x: Float32Array): Promise<Float32Array> => {
  const { y } = await layer.run({ x });
  return y?.data as Float32Array;
};

/** The first few of `found` that aren't what is expected. */
const wrong = (found: Float32Array, expected: (i: number) => number): readonly string[] =>
  [...found]
    .flatMap((value, i) => (Object.is(value, expected(i)) ? [] : [`${i}: ${value} instead of ${expected(i)}`]))
    .slice(0, 5);

describe.each(wasmVariants())('$name', ({ open }) => {
  // Rows of 4099 begin anywhere and end in a tail; those of 4096 lie in pairs, those of 4104 in pairs where vectors have 128 bits.
  it.each([4096, 4099, 4104])('reads each as the number it is, in rows of %i', async (width) => {
    const rows = 17;
    const bits = patterns(rows * width);
    expect(new Set(bits).size).toBe(finite.length);
    const layer = layerFromText(
      `layer halves(T) { input x[T]  weight w[${rows}, ${width}]: f16  output y[t, r, i] = x[t] * w[r, i] }`,
      { dims: {} },
    );
    using device = await open();
    using loaded = await load(device, layer, { w: bits });
    const found = await outputOf(loaded, Float32Array.of(1));
    expect(wrong(found, (i) => numberOf(bits[i] as number))).toEqual([]);
  });

  it.each([1, 2, 4, 6, 8, 12, 15])('reads rows that begin %i places on', async (shift) => {
    const [rows, width, taken] = [17, 4096, 4080];
    const bits = patterns(rows * width);
    const layer = layerFromText(
      `layer shifted(T) { input x[T, ${taken}]  weight w[${rows}, ${width}]: f16  output y[t, r, i] = x[t, i] * w[r, i + ${shift}] }`,
      { dims: {} },
    );
    using device = await open();
    using loaded = await load(device, layer, { w: bits });
    const found = await outputOf(loaded, new Float32Array(taken).fill(1));
    const at = (i: number): number => Math.floor(i / taken) * width + (i % taken) + shift;
    expect(wrong(found, (i) => numberOf(bits[at(i)] as number))).toEqual([]);
  });

  it('reads each in a product, whose panels are packed', async () => {
    const [inner, outer] = [64, 1024];
    const bits = patterns(inner * outer);
    const linear = layerFromText(
      `layer product(T) { input x[T, ${inner}]  weight w[${outer}, ${inner}]: f16  output y[t, o] = sum i: x[t, i] * w[o, i] }`,
      { dims: {} },
    );
    using device = await open();
    using loaded = await load(device, linear, { w: bits });
    const x = Float32Array.from({ length: inner * inner }, (_, i) => (i % (inner + 1) === 0 ? 1 : 0));
    const many = await outputOf(loaded, x);
    // Adding +0 makes +0 of −0.
    const expected = (i: number): number => numberOf(bits[(i % outer) * inner + Math.floor(i / outer)] as number) + 0;
    expect(wrong(many, expected)).toEqual([]);
    for (const t of [0, 13, 63]) {
      const one = await outputOf(loaded, x.subarray(t * inner, (t + 1) * inner));
      expect(wrong(one, (i) => expected(t * outer + i))).toEqual([]);
    }
  });

  // 48: in pairs; 40: in pairs of 128-bit vectors; 36: rows of whole vectors; 33: of none.
  it.each([48, 40, 36, 33])('gives trees and dense layers %i wide the bits that f32 gives them', async (width) => {
    using device = await open();
    const layers = [
      ['fff', { D: width, O: width, trees: 2, depth: 3 }, ['threshold']],
      ['fff', { D: width, O: width, trees: 1, depth: 10 }, ['threshold']],
      ['ff', { D: width, H: 2 * width, O: width }, []],
    ] as const;
    for (const [name, dims, without] of layers) {
      const of = (storage: 'f16' | 'f32'): LayerIR =>
        standardLayer(name, { dims, without, storage: { w1: storage, w2: storage } });
      const { x, ...halves } = randomTensors(of('f16'), { T: 400 }, width) as Record<
        string,
        Float32Array | Uint16Array
      >;
      const floats = Object.fromEntries(
        Object.entries(halves).map(([key, data]) => [
          key,
          data instanceof Uint16Array ? Float32Array.from(data, numberOf) : data,
        ]),
      );
      expect(Object.values(halves).filter((data) => data instanceof Uint16Array).length).toBe(2);
      using small = await load(device, of('f16'), halves);
      using large = await load(device, of('f32'), floats);
      for (const tokens of [1, 3, 7, 70, 400]) {
        const rows = (x as Float32Array).subarray(0, tokens * width);
        const [a, b] = [await outputOf(small, rows), await outputOf(large, rows)];
        expect(new Set(a).size).toBeGreaterThan(width / 2);
        expect(a, `${name}, ${tokens} tokens`).toEqual(b);
      }
    }
  });

  it('refuses infinities and NaN, and says where', async () => {
    using device = await open();
    const layer = layerFromText(
      'layer scaled(T) { input x[T, 16]  weight w[3, 16]: f16  output y[t, r, i] = x[t, i] * w[r, i] }',
      { dims: {} },
    );
    const bits = new Uint16Array(48);
    bits[20] = 0xfc00;
    bits[33] = 0x7e00;
    await expect(load(device, layer, { w: bits })).rejects.toThrow(
      'R031: weight w is -Infinity at [1, 4], and scaled takes finite f16 only; correct the checkpoint (f16 ends at 65504), or compile ' +
        'the layer for f32 weights',
    );
    expect(device.statistics.used).toBe(0);
  });
});
