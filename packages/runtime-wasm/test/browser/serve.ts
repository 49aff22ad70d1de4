/** A page for the browser test: bundled as an application would be, served from memory, isolated or not by its headers. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

const contentTypes: Readonly<Record<string, string>> = { js: 'text/javascript', html: 'text/html' };

/** The files of the bundled page, by path; `index.html` loads them. `entry`: a file beside this one. */
export async function bundlePage(entry = 'page.ts'): Promise<Map<string, string | Uint8Array>> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('.', import.meta.url)),
    resolve: { conditions: ['espalier-source', 'browser', 'module', 'import'] },
    worker: { format: 'es' },
    build: {
      write: false,
      target: 'es2024',
      rollupOptions: {
        input: fileURLToPath(new URL(entry, import.meta.url)),
        output: { entryFileNames: 'page.js' },
      },
    },
  });
  const files = new Map<string, string | Uint8Array>();
  for (const part of Array.isArray(output) ? output : [output])
    if ('output' in part)
      for (const file of part.output) files.set(`/${file.fileName}`, file.type === 'chunk' ? file.code : file.source);
  files.set(
    '/index.html',
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
  );
  return files;
}

/** Serves `files` until disposed of; `isolated`: with the headers that allow shared memory. */
export async function serve(files: ReadonlyMap<string, string | Uint8Array>, isolated: boolean) {
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '');
    const body = files.get(path);
    const type = contentTypes[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type, ...(isolated ? isolation : {}) });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
