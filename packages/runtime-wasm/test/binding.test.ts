/** Generated bindings, really imported and run: embedded and with the code beside them, as a user would write it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { artefactFiles } from '@espalier/artefact';
import { compile, wasm } from '@espalier/codegen';
import { generateBinding } from '@espalier/codegen/bindings';
import { interpretLayer, standardLayer } from '@espalier/ir';
import type { Device, HostTensor } from '@espalier/runtime';
import { afterAll, describe, expect, it } from 'vitest';
import { openWasm } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { randomFloats } from './support/random.ts';

// Inside the package, so that the modules' imports resolve as a user's would.
const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(`${cache}binding-`);
afterAll(() => rmSync(folder, { recursive: true }));

/** What the module of the layer below exports, written by hand: tests typecheck without generated files. */
interface Generated {
  load(
    device: Device,
    weights: Record<string, Float32Array>,
  ): Promise<{
    run(inputs: { x: Float32Array }, dims?: { T?: number }): Promise<{ y: HostTensor<Float32Array> }>;
    dispose(): void;
    [Symbol.dispose](): void;
  }>;
}

const sizes = { D: 7, O: 5, trees: 2, depth: 3 };
const layer = standardLayer('fff', { dims: sizes });
const T = 9;
const nodes = 2 ** (sizes.depth + 1) - 1;
const weights = {
  w1: randomFloats(sizes.trees * nodes * sizes.D, 1),
  b1: randomFloats(sizes.trees * nodes, 2),
  w2: randomFloats(sizes.trees * nodes * sizes.O, 3),
  threshold: randomFloats(sizes.trees * nodes, 4),
};
const x = randomFloats(T * sizes.D, 5);

async function generated(kind: 'embedded' | 'beside'): Promise<Generated> {
  const artefact = await compile(layer, { target: wasm });
  const path = `${folder}/${kind}.ts`;
  if (kind === 'beside')
    for (const file of artefactFiles(artefact)) writeFileSync(`${folder}/${file.path}`, file.content);
  writeFileSync(path, await generateBinding(artefact, kind === 'beside' ? { artefactPath: './fff.wasm' } : {}));
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Generated;
}

describe.each(['embedded', 'beside'] as const)('a binding with its code %s', (kind) => {
  it('runs and agrees with the interpreter', async () => {
    const fff = await generated(kind);
    using device = await openWasm();
    using instance = await fff.load(device, weights);
    const { y } = await instance.run({ x });
    expect(y.shape).toEqual([T, sizes.O]);
    const expected = interpretLayer(layer, { dims: { T }, tensors: { x, ...weights } })['y'];
    y.data.forEach((value, i) => {
      expect(value).toBeCloseTo(expected?.[i] ?? Number.NaN, 4);
    });
    expect((await instance.run({ x: new Float32Array(0) }, { T: 0 })).y).toEqual({
      shape: [0, sizes.O],
      data: new Float32Array(0),
    });
  });

  it('passes on what the runtime refuses', async () => {
    const fff = await generated(kind);
    using device = await openWasm();
    const { w1: _, ...missing } = weights;
    expect(await failure(fff.load(device, missing))).toMatchObject({ code: 'R008' });
  });
});

it('refuses code that is not what the binding was made for', async () => {
  await generated('beside');
  const path = `${folder}/stale.ts`;
  writeFileSync(path, await generateBinding(await compile(layer, { target: wasm }), { artefactPath: './stale.wasm' }));
  const other = await compile(standardLayer('fff', { dims: { ...sizes, D: 8 } }), { target: wasm });
  writeFileSync(`${folder}/stale.wasm`, other.binary ?? '');
  const fff = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Generated;
  using device = await openWasm();
  expect(await failure(fff.load(device, weights))).toMatchObject({ code: 'A007' });
});
