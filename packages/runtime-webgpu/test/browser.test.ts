/**
 * Compiled layers in a real browser's WebGPU, on its software adapter: bundled as an application would be. Needs Chromium on
 * the PATH, or its place in CHROMIUM; where ESPALIER_REQUIRE_BROWSER is set, its lack is a failure.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Capabilities, compile, wgsl } from '@espalier/codegen';
import { interpretLayer, type LayerIR, layerFromText, Sizes, standardLayer } from '@espalier/ir';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PageCase, PageResult } from './browser/page.ts';
import { bundlePage, serve } from './browser/serve.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
const { CHROMIUM, PATH, ESPALIER_REQUIRE_BROWSER: required } = process.env;
const executable =
  CHROMIUM ??
  (PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((file) => existsSync(file));

it('finds a browser where one is required', () => {
  expect(executable ?? (required ? 'no Chromium on the PATH or in CHROMIUM' : 'not required')).not.toMatch(/^no /);
});

type Tensors = Record<string, Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>>;

/** Random inputs and weights; integers below 2. */
function tensorsOf(layer: LayerIR, dims: Readonly<Record<string, number>>): Tensors {
  const values = new Map(Object.entries(dims));
  return Object.fromEntries(
    layer.tensors
      .filter(({ role }) => role === 'input' || role === 'weight')
      .map(({ name, shape, storage }, i) => {
        const length = shape.reduce((n, size) => n * Sizes.evaluate(size, values), 1);
        return [name, storage === 'i32' ? randomIntegers(length, 2, i) : randomFloats(length, i).map((v) => v / 4)];
      }),
  );
}

const layers: readonly (readonly [string, LayerIR, Readonly<Record<string, number>>])[] = [
  ['a dense layer', standardLayer('linear', { dims: { D: 70, O: 33 } }), { T: 5 }],
  ['a norm', standardLayer('layer_norm', { dims: { D: 43 } }), { T: 3 }],
  ['feedforward', standardLayer('ff', { dims: { D: 29, H: 70, O: 33 } }), { T: 7 }],
  ['a tree', standardLayer('fff', { dims: { D: 45, O: 45, trees: 2, depth: 4 } }), { T: 9 }],
  ['an embedding', standardLayer('embedding', { dims: { V: 9, D: 12 } }), { T: 6 }],
];

describe.skipIf(!executable)(
  executable ? 'in Chromium' : 'in Chromium (skipped: none on the PATH or in CHROMIUM)',
  () => {
    let browser: Browser;
    let page: Page;
    let server: Awaited<ReturnType<typeof serve>>;
    const complaints: string[] = [];

    beforeAll(async () => {
      server = await serve(await bundlePage());
      browser = await chromium.launch({
        args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
        ...(executable === undefined ? {} : { executablePath: executable }),
      });
      page = await browser.newPage();
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      await page.goto(`${server.origin}/index.html`);
      await page.waitForFunction('globalThis.runInPage !== undefined');
      complaints.length = 0;
    });

    afterAll(async () => {
      await browser?.close();
      server?.close();
    });

    async function runInPage(
      layer: LayerIR,
      dims: Readonly<Record<string, number>>,
      tensors: Tensors,
      extra: { readonly lose?: boolean; readonly capabilities?: Capabilities } = {},
    ): Promise<PageResult> {
      const { lose, capabilities } = extra;
      const call: PageCase = {
        artefact: await compile(layer, { target: wgsl, ...(capabilities ? { capabilities } : {}) }),
        dims,
        tensors: Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, [...data]])),
        ...(lose === undefined ? {} : { lose }),
      };
      return page.evaluate<PageResult>(`globalThis.runInPage(${JSON.stringify(call)})`);
    }

    /** Both runs gave what the float64 interpreter gives, near enough, and the same bits. */
    function expectRight(
      result: PageResult,
      layer: LayerIR,
      dims: Readonly<Record<string, number>>,
      tensors: Tensors,
    ): void {
      expect(result.error).toBeUndefined();
      const [first, second] = result.outputs;
      expect(second).toEqual(first);
      const expected = interpretLayer(layer, { dims, tensors });
      for (const { name, role } of layer.tensors) {
        if (role !== 'output') continue;
        const values = [...(expected[name] ?? [])];
        const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        expect(first?.[name]).toHaveLength(values.length);
        expect(largest).toBeGreaterThan(0);
        const off = values.map((v, i) => Math.abs(v - (first?.[name]?.[i] ?? Number.NaN)));
        expect(Math.max(...off)).toBeLessThanOrEqual(1e-5 * largest);
      }
    }

    it.each(layers)('computes %s, a run in one submission and one journey back', async (_, layer, dims) => {
      const tensors = tensorsOf(layer, dims);
      const result = await runInPage(layer, dims, tensors);
      expectRight(result, layer, dims, tensors);
      expect(result.counters).toMatchObject({ runs: 1, submissions: 1, readbacks: 1, pipelines: 0, buffers: 0 });
      expect(complaints).toEqual([]);
    });

    it('computes with the capabilities that it observes', async () => {
      const [, layer, dims] = layers[1] as (typeof layers)[number];
      const tensors = tensorsOf(layer, dims);
      const { capabilities } = await runInPage(layer, dims, tensors);
      expect(capabilities).toMatchObject({ 'workgroup-threads': expect.any(Number), f16: expect.any(Boolean) });
      const observed = Object.fromEntries(
        Object.entries(capabilities).filter(([name]) => name in wgsl.defaults),
      ) as Capabilities;
      expectRight(await runInPage(layer, dims, tensors, { capabilities: observed }), layer, dims, tensors);
      expect(complaints).toEqual([]);
    });

    it('goes on after the device was lost', async () => {
      const [, layer, dims] = layers[2] as (typeof layers)[number];
      const tensors = tensorsOf(layer, dims);
      const result = await runInPage(layer, dims, tensors, { lose: true });
      expectRight(result, layer, dims, tensors);
      expect(result.recoveries).toBe(1);
    });

    it('reports faults', async () => {
      const layer = layerFromText(
        'layer pick(T) { input at[T]: i32  weight table[5]: f32  output y[t] = table[at[t]] }',
      );
      const tensors = { at: Int32Array.of(0, 4, 5), table: randomFloats(5, 1) };
      const { error } = await runInPage(layer, { T: 3 }, tensors);
      expect(error).toMatch(/^FaultError: F001: pick: .*table/);
    });
  },
);
