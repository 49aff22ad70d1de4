/** A page in Chromium that computes for this process: opened with a device, asked to load and to run graphs. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { RuntimeError } from '@espalier/runtime';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Carried, type Envelope, pack, unpack } from './envelope.ts';
import type { Answer, Call, Engine, Opened } from './messages.ts';
import { type PageServer, servePage } from './serve.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** `--no-sandbox`: containers have no user namespaces, and the page is ours. WebGPU by software, which is there everywhere. */
const flags = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Longest a call may take, in milliseconds: a software GPU takes seconds for a kernel, a hung page for ever. */
const PATIENCE = 300_000;

/** Chromium: CHROMIUM names it, else it is looked for on the PATH; undefined where there is none. */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const { CHROMIUM, PATH } = environment;
  return (
    CHROMIUM ??
    (PATH ?? '')
      .split(delimiter)
      .flatMap((folder) => names.map((name) => join(folder, name)))
      .find((file) => existsSync(file))
  );
}

export class PageSession implements Disposable {
  readonly #browser: Browser;
  readonly #page: Page;
  readonly #server: PageServer;
  #opened: Opened | null = null;

  /** Use `PageSession.open`. */
  constructor(browser: Browser, page: Page, server: PageServer) {
    this.#browser = browser;
    this.#page = page;
    this.#server = server;
  }

  /** Starts a browser and opens a device in it. Rejects with RuntimeError R026 where there is no Chromium or no device in it. */
  static async open(engine: Engine): Promise<PageSession> {
    const executablePath = findChromium();
    if (executablePath === undefined)
      throw new RuntimeError('R026', 'no Chromium on the PATH; install it, or name it in CHROMIUM');
    const server = await servePage();
    let browser: Browser | undefined;
    try {
      browser = await chromium.launch({ args: flags, executablePath }).catch((cause: unknown) => {
        const [why] = String(cause).split('\n');
        throw new RuntimeError('R026', `${executablePath} does not start (${why}); name another in CHROMIUM`, {
          cause,
        });
      });
      const page = await browser.newPage();
      await page.goto(`${server.origin}/index.html`);
      await page.waitForFunction('globalThis.espalierAnswer !== undefined');
      const session = new PageSession(browser, page, server);
      session.#opened = (await session.ask({ kind: 'open', engine })).body as Opened;
      return session;
    } catch (error) {
      server[Symbol.dispose]();
      await browser?.close();
      throw error;
    }
  }

  /** The device that was opened. */
  get opened(): Opened {
    if (this.#opened === null) throw new RuntimeError('R012', 'the page has no device yet');
    return this.#opened;
  }

  /** Asks the page. Rejects with what went wrong there, and with RuntimeError R022 when it does not answer. */
  async ask(call: Call, arrays: readonly Carried[] = []): Promise<Envelope> {
    const { path, take } = this.#server.offer(pack({ body: call, arrays }));
    const { promise: late, reject } = Promise.withResolvers<never>();
    const lost = (why: string, cause?: unknown): RuntimeError =>
      new RuntimeError('R022', `the page in Chromium ${why} (${call.kind}); run again`, { cause });
    const timer = setTimeout(() => reject(lost(`did not answer within ${PATIENCE / 1000} s`)), PATIENCE);
    try {
      const asked = this.#page.evaluate(`globalThis.espalierAnswer(${JSON.stringify(path)})`);
      await Promise.race([late, asked.catch((cause: unknown) => reject(lost(`is gone: ${String(cause)}`, cause)))]);
    } finally {
      clearTimeout(timer);
    }
    const bytes = take();
    if (bytes === undefined) throw lost('gave no answer');
    const { body, arrays: results } = unpack(bytes);
    const { error, result } = body as Answer;
    if (error !== null) throw Object.assign(new Error(`in Chromium: ${error.message}`), { code: error.code });
    return { body: result, arrays: results };
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
    // Nobody waits for a browser that ends; the process does, by itself.
    this.#browser.close().catch(() => undefined);
  }
}
