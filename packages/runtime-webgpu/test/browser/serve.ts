/** A page for the browser test: bundled as an application would be, served from memory. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const contentTypes: Readonly<Record<string, string>> = { js: 'text/javascript', html: 'text/html' };

/** The files of the page bundled from `page.ts` in a folder, by path; `index.html` loads them. */
export async function bundlePage(folder = new URL('.', import.meta.url)): Promise<Map<string, string>> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(folder),
    resolve: { conditions: ['espalier-source', 'browser', 'module', 'import'] },
    build: {
      write: false,
      target: 'es2024',
      rollupOptions: {
        input: fileURLToPath(new URL('page.ts', folder)),
        output: { entryFileNames: 'page.js' },
      },
    },
  });
  const files = new Map<string, string>();
  for (const part of Array.isArray(output) ? output : [output])
    if ('output' in part)
      for (const file of part.output) if (file.type === 'chunk') files.set(`/${file.fileName}`, file.code);
  // An icon of its own, or the browser asks for one whenever it likes and complains that there is none.
  files.set(
    '/index.html',
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
  );
  return files;
}

/** Serves `files` until disposed of. */
export async function serve(files: ReadonlyMap<string, string>) {
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '');
    const body = files.get(path);
    const type = contentTypes[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
