/** The page's server: the bundled page, onnxruntime-web's own files as it ships them, and models, from memory. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const contentTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.html': 'text/html',
  '.wasm': 'application/wasm',
};

/** The script of the page, bundled as an application would be. */
async function bundlePage(): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('.', import.meta.url)),
    resolve: { conditions: ['espalier-source', 'browser', 'module', 'import'] },
    build: {
      write: false,
      target: 'es2024',
      rollupOptions: {
        input: fileURLToPath(new URL('page.ts', import.meta.url)),
        output: { entryFileNames: 'page.js', codeSplitting: false },
      },
    },
  });
  const parts = (Array.isArray(output) ? output : [output]).flatMap((part) => ('output' in part ? part.output : []));
  const script = parts.find((file) => file.type === 'chunk');
  if (!script) throw new Error('the page has no script');
  return script.code;
}

/** A server of this machine only. Close it. */
export interface PageServer {
  readonly origin: string;
  /** Publishes bytes under a path, which starts with a slash. */
  put(path: string, bytes: Uint8Array): void;
  close(): void;
}

/** Bundles the page and serves it at `/`; onnxruntime-web's distribution at `/ort/`. */
export async function servePage(): Promise<PageServer> {
  const distribution = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
  const files = new Map<string, Uint8Array>();
  const put = (path: string, bytes: Uint8Array): void => void files.set(path, bytes);
  put('/page.js', Buffer.from(await bundlePage()));
  put(
    '/',
    Buffer.from(
      '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    ),
  );
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    // A file name, and nothing that leads elsewhere.
    const body = path.startsWith('/ort/')
      ? await readFile(join(distribution, basename(path))).catch(() => undefined)
      : files.get(path);
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': path === '/' ? 'text/html' : (contentTypes[extname(path)] ?? 'application/octet-stream'),
      // As pages are served that want shared memory: nothing is kept from either side.
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    put,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
