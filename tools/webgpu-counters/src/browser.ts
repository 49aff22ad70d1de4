/** The browser that both sides run in, on its software adapter, so that every machine counts on the same one. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import type { PageCall, PageResult } from './page.ts';
import { type PageServer, servePage } from './serve.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** Chromium's place: the variable CHROMIUM, or the first of its names on the PATH; undefined where there is none. */
export function findChromium(): string | undefined {
  const { CHROMIUM, PATH } = process.env;
  return (
    CHROMIUM ??
    (PATH ?? '')
      .split(delimiter)
      .flatMap((folder) => names.map((name) => join(folder, name)))
      .find((file) => existsSync(file))
  );
}

/** Pages that run one forward each. Dispose of it. */
export interface Bench extends AsyncDisposable {
  readonly server: PageServer;
  /** Runs `call` in a fresh page. Rejects with what went wrong there, complaints on its console included. */
  forward(call: PageCall): Promise<PageResult>;
}

/** Starts the server and the browser at `executablePath`. */
export async function openBench(executablePath: string): Promise<Bench> {
  const server = await servePage();
  let browser: Browser;
  try {
    browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    });
  } catch (error) {
    server.close();
    throw error;
  }
  return {
    server,
    async forward(call) {
      const context = await browser.newContext();
      const complaints: string[] = [];
      try {
        const page = await context.newPage();
        page.on('pageerror', (error) => complaints.push(error.message));
        page.on('console', (message) => {
          if (message.type() === 'error') complaints.push(message.text());
        });
        await page.goto(server.origin);
        await page.waitForFunction('globalThis.forward !== undefined');
        return await page.evaluate<PageResult>(`globalThis.forward(${JSON.stringify(call)})`);
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error([`a page failed: ${what}`, ...complaints].join('\n'), { cause: error });
      } finally {
        await context.close();
      }
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      server.close();
    },
  };
}
