/** The server of the page: its files, and beside them the calls that it fetches and answers. Only this machine can reach it. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

type Files = ReadonlyMap<string, string | Uint8Array>;

/** From sources this file is TypeScript; built, it is JavaScript, and so is the page. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

let bundled: Promise<Files> | undefined;

/** The files of the page, bundled as an application's would be, by path; made once. */
export function bundlePage(): Promise<Files> {
  bundled ??= bundle();
  return bundled;
}

async function bundle(): Promise<Files> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('.', import.meta.url)),
    resolve: { conditions: [...(extension === 'ts' ? ['espalier-source'] : []), 'browser', 'module', 'import'] },
    worker: { format: 'es' },
    build: {
      write: false,
      target: 'es2024',
      rollupOptions: {
        input: fileURLToPath(new URL(`page.${extension}`, import.meta.url)),
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

const contentTypes: Readonly<Record<string, string>> = { js: 'text/javascript', html: 'text/html' };

async function bytesOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  // A copy of its own: Node's small buffers share memory that is aligned for nothing.
  const bytes = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export interface PageServer extends Disposable {
  readonly origin: string;
  /** Lays a call where the page can fetch it; returns its path, and how to take the answer once the page has posted it. */
  offer(call: Uint8Array): { readonly path: string; readonly take: () => Uint8Array | undefined };
}

/** Serves the page until disposed of. */
export async function servePage(): Promise<PageServer> {
  const files = await bundlePage();
  const calls = new Map<string, Uint8Array>();
  const answers = new Map<string, Uint8Array>();
  let next = 0;
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '');
    if (request.method === 'POST') {
      bytesOf(request).then(
        (bytes) => {
          answers.set(path, bytes);
          response.writeHead(204).end();
        },
        () => response.destroy(),
      );
      return;
    }
    const body = calls.get(path) ?? files.get(path);
    const type = contentTypes[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type });
    response.end(body);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    offer(call) {
      const path = `/calls/${next++}`;
      calls.set(path, call);
      return {
        path,
        take: () => {
          const bytes = answers.get(path);
          answers.delete(path);
          calls.delete(path);
          return bytes;
        },
      };
    },
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
