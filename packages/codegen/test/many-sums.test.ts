/** Layers that multiply one input by many weights at once: tiles hold all of them in workgroup memory, and take what fits there. */
import { type LayerIR, layerFromText } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compile, cuda, type Form, partition, type Target, wgsl } from '../src/index.ts';
import { tileBytes } from '../src/lower/tile.ts';

/** y = Σ over k of relu(x · w_k), 512 columns of each. */
const layerOf = (sums: number): LayerIR => {
  const weights = Array.from({ length: sums }, (_, i) => `w${i}`);
  return layerFromText(
    `layer many(T) {
      input x[T, 48]
      weight ${weights.map((w) => `${w}[512, 48]`).join(', ')}
      output y[t, o] = ${weights.map((w) => `relu(sum i: x[t, i] * ${w}[o, i])`).join(' + ')}
    }`,
    {},
  );
};

const formsOf = (layer: LayerIR, target: Target, capabilities: Readonly<Record<string, boolean>>): readonly Form[] =>
  partition(layer).flatMap((unit) =>
    target.variants(unit, { ...target.defaults, ...capabilities }, layer).map(({ form }) => form),
  );

const machines: readonly (readonly [string, Target, Readonly<Record<string, boolean>>, number])[] = [
  ['wgsl', wgsl, {}, 16384],
  ['cuda', cuda, {}, 49152],
  ['cuda, tf32', cuda, { 'tensor-cores': true }, 49152],
  ['cuda, bf16', cuda, { 'tensor-bf16': true }, 49152],
];

describe.each(machines)('%s', (_, target, capabilities, memory) => {
  it.each([1, 3, 6, 14])('takes %i sums, in tiles that fit', async (sums) => {
    const layer = layerOf(sums);
    const [unit] = partition(layer);
    if (unit?.kind !== 'contract') throw new Error('no contraction');
    const tiles = formsOf(layer, target, capabilities).filter((form) => form.form === 'tile');
    for (const tile of tiles) expect(tileBytes(unit, tile)).toBeLessThanOrEqual(memory);
    expect(tiles.length).toBeGreaterThanOrEqual(sums < 6 ? 1 : 0);
    // The target's own check of what its kernels take.
    await expect(compile(layer, { target, capabilities, verify: 'each' })).resolves.toHaveProperty('source');
  });
});

it('counts what kernels declare', async () => {
  for (const [, target, capabilities] of machines)
    for (const tile of formsOf(layerOf(2), target, capabilities)) {
      if (tile.form !== 'tile') continue;
      const layer = layerOf(2);
      const [unit] = partition(layer);
      if (unit?.kind !== 'contract') throw new Error('no contraction');
      const taking: Target = { ...target, variants: () => [{ name: '', from: 0, form: tile }] };
      const { source } = await compile(layer, { target: taking, capabilities });
      const bytes = [
        ...[...source.matchAll(/__shared__ (?:__align__\(16\) )?(float|unsigned short) \w+\[(\d+)\]/g)].map(
          ([, type, length]) => Number(length) * (type === 'float' ? 4 : 2),
        ),
        ...[...source.matchAll(/var<workgroup> \w+: array<(f32|vec4f), (\d+)>/g)].map(
          ([, type, length]) => Number(length) * (type === 'f32' ? 4 : 16),
        ),
      ];
      expect(bytes).toHaveLength(3);
      expect(bytes.reduce((a, b) => a + b, 0)).toBe(tileBytes(unit, tile));
    }
});
