/** Every number that f16 can hold, read by vectors and one by one: zeros of both signs, denormals, infinities and NaN included. */
import { compile, wasm } from '@espalier/codegen';
import { layerFromText } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { wasmCapabilities, wasmVariants } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';

/** By the definition: sign, five bits of exponent, ten of fraction. */
function numberOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

// All patterns in rows of 4099: lines of vectors with a tail of three, everywhere else in each line.
const [rows, width] = [17, 4099];
const bits = Uint16Array.from({ length: rows * width }, (_, i) => i & 0xffff);
const layer = layerFromText(
  `layer halves(T) { input x[T]  weight w[${rows}, ${width}]: f16  output y[t, r, i] = x[t] * w[r, i] }`,
  { dims: {} },
);

describe.each(wasmVariants())('$name', ({ open }) => {
  it('reads each as the number it is', async () => {
    using device = await open();
    const artefact = await compile(layer, { target: wasm, capabilities: wasmCapabilities(device.info) });
    expect(artefact.source).toContain('v128.load16x4_s');
    using loaded = await loadLayer(device, artefact, { w: bits });
    const { y } = await loaded.run({ x: Float32Array.of(1) });
    const found = y?.data as Float32Array;
    const wrong = [...bits].flatMap((pattern, i) =>
      Object.is(found[i], numberOf(pattern)) ? [] : [`${pattern.toString(16)}: ${found[i]}`],
    );
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});
