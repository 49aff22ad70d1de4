/**
 * The runtime in a real browser: bundled as an application would be, on a page that may share memory and on one that may
 * not. Needs Chromium on the PATH, or its place in CHROMIUM; where ESPALIER_REQUIRE_BROWSER is set, its lack is a failure.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { encodeGraph } from '@espalier/artefact';
import { graphOfLayer } from '@espalier/runtime';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PageCall, PageResult } from './browser/page.ts';
import { bundlePage, serve } from './browser/serve.ts';
import { gatherArtefact, trapArtefact } from './support/kernels.ts';
import { randomFloats, randomIntegers } from './support/random.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
const { CHROMIUM, PATH, ESPALIER_REQUIRE_BROWSER: required } = process.env;
const executable =
  CHROMIUM ??
  (PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((file) => existsSync(file));

const T = 3001;
const x = [...randomFloats(T, 1)];
const ids = [...randomIntegers(T, 5, 2)];
const table = [...randomFloats(15, 3)];
const expected = x.map((value, t) => {
  const [a, b, c] = table.slice((ids[t] as number) * 3) as [number, number, number];
  return Math.fround(Math.fround(Math.fround(a + b) + c) * Math.fround(value * value));
});

it('finds a browser where one is required', () => {
  expect(executable ?? (required ? 'no Chromium on the PATH or in CHROMIUM' : 'not required')).not.toMatch(/^no /);
});

describe.skipIf(!executable)(
  executable ? 'in Chromium' : 'in Chromium (skipped: none on the PATH or in CHROMIUM)',
  () => {
    let browser: Browser;
    let files: Map<string, string | Uint8Array>;

    beforeAll(async () => {
      files = await bundlePage();
      files.set('/gather.graph', encodeGraph(graphOfLayer(gatherArtefact())));
      const trap = graphOfLayer(trapArtefact());
      // The page binds ids and a table too, so the trapping layer runs behind the other one.
      const gather = graphOfLayer(gatherArtefact());
      files.set(
        '/trap.graph',
        encodeGraph({
          ...gather,
          tensors: [...gather.tensors, { name: 'z', storage: 'f32', shape: ['T'] }],
          outputs: ['z'],
          steps: [
            ...gather.steps,
            { id: 'trap', artefact: 1, dims: { N: 'T' }, tensors: { x: 'y', y: 'z' }, weights: {} },
          ],
          artefacts: [...gather.artefacts, ...trap.artefacts],
        }),
      );
      browser = await chromium.launch({
        args: ['--no-sandbox'],
        ...(executable === undefined ? {} : { executablePath: executable }),
      });
    });

    afterAll(async () => {
      await browser?.close();
    });

    async function runInPage(isolated: boolean, call: Partial<PageCall>): Promise<PageResult> {
      using server = await serve(files, isolated);
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      try {
        await page.goto(server.origin);
        await page.waitForFunction('globalThis.runInPage !== undefined');
        const full: PageCall = { graph: '/gather.graph', options: {}, x, ids, table, repeats: 3, ...call };
        const result = await page.evaluate<PageResult>(`globalThis.runInPage(${JSON.stringify(full)})`);
        expect(complaints).toEqual([]);
        return result;
      } finally {
        await page.close();
      }
    }

    it('runs on two threads where the page is isolated', async () => {
      const result = await runInPage(true, { options: { threads: 2, minimumWork: 0 }, repeats: 50 });
      expect(result).toMatchObject({ isolated: true, capabilities: { threads: 2, simd: true, 'relaxed-simd': true } });
      expect(result.outputs).toEqual(Array.from({ length: 50 }, () => expected));
    });

    it('falls back to one thread where it is not, and says why', async () => {
      const result = await runInPage(false, { options: { threads: 2, minimumWork: 0 } });
      expect(result).toMatchObject({
        isolated: false,
        capabilities: {
          threads: 1,
          'threads-refused': expect.stringContaining('Cross-Origin-Opener-Policy: same-origin'),
        },
      });
      expect(result.outputs).toEqual([expected, expected, expected]);
    });

    it.each([1, 2])('reports faults and traps on %i threads', async (threads) => {
      const options = { threads, minimumWork: 0 };
      const bad = await runInPage(true, { options, ids: ids.map((id, t) => (t === 2999 ? 7 : id)) });
      expect(bad.error).toMatch(/^FaultError: F001: gather: index of table/);
      const trapped = await runInPage(true, { options, graph: '/trap.graph', table: table.map(() => -1) });
      expect(trapped.error).toMatch(/^RuntimeError: R021: trap: kernel k0/);
    });
  },
);
