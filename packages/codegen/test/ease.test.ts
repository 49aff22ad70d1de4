/** Layers whose fused statements take more than a machine has: cut up until they fit, and refused only where nothing does. */
import { type LayerIR, layerFromText } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { compile, cuda, type Target, wgsl } from '../src/index.ts';

/** Two statements that are fused row by row; together they take nine tensors whose sizes only the run knows. */
const nine = (): LayerIR =>
  layerFromText(
    `layer nine(T) {
      input a[T, 5], b[T, 5], c[T, 5], d[T, 5], e[T, 5], f[T, 5], g[T, 5], h[T, 5]
      m[t] = max i: (a[t, i] * b[t, i] + c[t, i] * d[t, i])
      output y[t, i] = (e[t, i] - m[t]) * f[t, i] + g[t, i] * h[t, i]
    }`,
    {},
  );

const launchesOf = async (layer: LayerIR, target: Target, capabilities = {}) => {
  const { manifest } = await compile(layer, { target, capabilities, verify: 'each' });
  return manifest.launches.map(({ kernel, bindings }) => [kernel, bindings.length]);
};

describe('more storage buffers than WGSL has', () => {
  it('are taken a few at a time, by a kernel for each statement', async () => {
    expect(await launchesOf(nine(), wgsl)).toEqual([
      ['k0', 5],
      ['k1', 6],
    ]);
    const { manifest } = await compile(nine(), { target: wgsl });
    expect(manifest.bindings.find(({ name }) => name === 'm')).toMatchObject({ role: 'workspace', shape: ['T'] });
  });

  it('are bound together where there are as many', async () => {
    expect(await launchesOf(nine(), wgsl, { 'storage-buffers': 9 })).toEqual([['k0', 9]]);
    expect(await launchesOf(nine(), cuda)).toEqual([['k0', 9]]);
  });

  it('are refused where a statement by itself takes them, in any form, and where schedules name the kernels', async () => {
    const capabilities = { 'storage-buffers': 5 };
    await expect(compile(nine(), { target: wgsl, capabilities })).rejects.toThrow(
      /^W002: kernel k1 for wgsl: it takes storage-buffers 6 where 5 are given/,
    );
    await expect(compile(nine(), { target: wgsl, schedules: { k0: [] } })).rejects.toThrow(/^W00/);
  });
});

it('of one statement the plain loops are tried last', async () => {
  const tried: string[] = [];
  const refusing: Target = {
    ...cuda,
    legalise: (capabilities) => [
      {
        name: 'refuse',
        run: (kernel) => {
          tried.push(kernel.label.split(':')[0] ?? '');
          if (!kernel.label.startsWith('generic')) throw Object.assign(new Error('too much'), { excess: true });
          return kernel;
        },
      },
      ...cuda.legalise(capabilities),
    ],
  };
  await compile(nine(), { target: refusing });
  expect(tried.at(-1)).toMatch(/^generic/);
  expect(new Set(tried).size).toBeGreaterThan(1);
});
