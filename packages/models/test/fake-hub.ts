/**
 * A local server that speaks the Hub's protocol as far as a download uses it: the commit of a revision, the list of files
 * with their hashes, and files by range. Each kind of bad day can be switched on.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A server of the model `org/tiny`. */
export interface FakeHub {
  readonly url: string;
  readonly commit: string;
  /** Contents by name; may be changed between requests. */
  readonly files: Map<string, Uint8Array>;
  /** `METHOD path range` of every request so far. */
  readonly requests: string[];
  /** Bad behaviour; returns true when it has answered the request itself. */
  misbehave: ((request: IncomingMessage, response: ServerResponse, path: string) => boolean) | undefined;
  /** Bytes of the next whole-file answers after which the connection is cut, one entry an answer. */
  readonly cutAfter: number[];
  /** Ignore Range headers with a start above 0. */
  ignoreRanges: boolean;
  close(): Promise<void>;
}

/** Starts a server that the test's end stops. */
export async function fakeHub(contents: Readonly<Record<string, Uint8Array | string>>): Promise<FakeHub> {
  const commit = createHash('sha1')
    .update(JSON.stringify(Object.keys(contents)))
    .digest('hex');
  const files = new Map(Object.entries(contents).map(([name, data]) => [name, Buffer.from(data)]));
  const server = createServer((request, response) => answer(hub, request, response));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commit,
    files,
    requests: [],
    misbehave: undefined,
    cutAfter: [],
    ignoreRanges: false,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
  onTestFinished(() => hub.close());
  return hub;
}

function answer(hub: FakeHub, request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(new URL(request.url ?? '/', hub.url).pathname);
  hub.requests.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim());
  if (hub.misbehave?.(request, response, path)) return;
  const revisions = ['main', 'v1', hub.commit];
  const info = /^\/api\/models\/org\/tiny\/revision\/(.+)$/.exec(path)?.[1];
  const tree = /^\/api\/models\/org\/tiny\/tree\/([^/]+)$/.exec(path)?.[1];
  const file = /^\/org\/tiny\/resolve\/([^/]+)\/(.+)$/.exec(path);
  const data = hub.files.get(file?.[2] ?? '');
  if (info !== undefined && revisions.includes(info)) {
    json(response, 200, { _id: '1', id: 'org/tiny', sha: hub.commit });
  } else if (info !== undefined) {
    json(response, 404, { error: `Invalid rev id: ${info}` }, { 'X-Error-Code': 'RevisionNotFound' });
  } else if (tree === hub.commit) {
    json(
      response,
      200,
      [...hub.files].map(([name, content]) => listed(name, content)),
    );
  } else if (file?.[1] === hub.commit && data !== undefined) {
    serve(hub, request, response, data);
  } else {
    json(response, 404, { error: 'Repository not found' }, { 'X-Error-Code': 'RepoNotFound' });
  }
}

function listed(path: string, data: Uint8Array): unknown {
  const size = data.length;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(data).digest('hex');
  if (!path.endsWith('.safetensors')) return { type: 'file', path, size, oid };
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { type: 'file', path, size, oid: '0'.repeat(40), lfs: { oid: sha256, size, pointerSize: 130 } };
}

function serve(hub: FakeHub, request: IncomingMessage, response: ServerResponse, data: Uint8Array): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const headers = { ETag: '"e"', 'X-Repo-Commit': hub.commit, 'Content-Type': 'application/octet-stream' };
  let body = data;
  if (range !== null && !(hub.ignoreRanges && range[1] !== '0')) {
    const start = Number(range[1]);
    const end = range[2] ? Number(range[2]) + 1 : data.length;
    body = data.subarray(start, end);
    response.writeHead(206, {
      ...headers,
      'Content-Range': `bytes ${start}-${end - 1}/${data.length}`,
      'Content-Length': body.length,
    });
  } else {
    response.writeHead(200, { ...headers, 'Content-Length': data.length });
  }
  const probe = range?.[2] === '0';
  const cut = probe ? undefined : hub.cutAfter.shift();
  if (cut === undefined) response.end(body);
  else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
