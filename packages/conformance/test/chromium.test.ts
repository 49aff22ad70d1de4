/**
 * The suite in a real browser: layers compiled and run in the page, on its WebGPU. Needs Chromium on the PATH, or its place in
 * CHROMIUM; where ESPALIER_REQUIRE_BROWSER is set, its lack is a failure.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { wgsl } from '@espalier/codegen';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundlePage, serve } from '../../runtime-webgpu/test/browser/serve.ts';
import { runConformance } from '../src/index.ts';
import { collect } from './browser/collect.ts';

const { CHROMIUM, PATH, ESPALIER_REQUIRE_BROWSER: required } = process.env;
const executable =
  CHROMIUM ??
  (PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find((file) => existsSync(file));

/** Only the names matter here: the page has the same suite. */
const { tests } = collect((runner) =>
  runConformance(runner, {
    name: 'webgpu in Chromium',
    open: () => Promise.reject(new Error('runs in the page')),
    target: wgsl,
  }),
);

if (executable === undefined) {
  if (required === '1') {
    it('finds a browser', () => expect.fail('no chromium on the PATH or in CHROMIUM, and one is required'));
  } else it.skip("conformance of webgpu in Chromium can't run here: none on the PATH or in CHROMIUM", () => {});
} else {
  describe('in the page', () => {
    let browser: Browser;
    let page: Page;
    let server: Awaited<ReturnType<typeof serve>>;

    beforeAll(async () => {
      server = await serve(await bundlePage(new URL('./browser/', import.meta.url)));
      browser = await chromium.launch({
        args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
        executablePath: executable,
      });
      page = await browser.newPage();
      await page.goto(`${server.origin}/index.html`);
      await page.waitForFunction('globalThis.runInPage !== undefined');
    });
    afterAll(async () => {
      await browser?.close();
      server?.close();
    });

    it.each([...tests.keys()])('%s', async (name) => {
      expect(await page.evaluate<string | null>(`globalThis.runInPage(${JSON.stringify(name)})`)).toBeNull();
    });
  });
}
