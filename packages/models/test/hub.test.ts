/** Models from the Hub, against a local server: what is fetched, what is kept, and every way a download can go wrong. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type DownloadProgress,
  defaultCacheDir,
  type HubOptions,
  hubSnapshot,
  loadTokenizer,
  openCheckpoint,
  parseHubId,
  toFloat32,
  writeSafetensors,
} from '../src/index.ts';
import { type FakeHub, fakeHub, json } from './fake-hub.ts';
import { caught, model, random, temporaryFolder } from './support.ts';

const next = random(30);
const values = Float32Array.from({ length: 60_000 }, () => next() - 0.5);
const weights = writeSafetensors([{ name: 'w', dtype: 'F32', shape: [300, 200], data: values }]);
const tiny = { 'config.json': '{"model_type":"bert"}', 'vocab.txt': '[PAD]\n', 'model.safetensors': weights };

function quick(hub: FakeHub, more: HubOptions = {}): HubOptions & { cacheDir: string } {
  return { hubUrl: hub.url, cacheDir: temporaryFolder(), stallMs: 10_000, retries: 0, ...more } as HubOptions & {
    cacheDir: string;
  };
}

/** All file names under the cache that are not in a snapshot: partial files. */
function partials(cacheDir: string): string[] {
  const folder = join(cacheDir, 'models--org--tiny', 'partial');
  return existsSync(folder) ? readdirSync(folder) : [];
}

describe('names', () => {
  it('tells Hub ids from paths', () => {
    expect(parseHubId('org/name')).toEqual({ id: 'org/name' });
    expect(parseHubId('org/na.me-1_x@refs/pr/1')).toEqual({ id: 'org/na.me-1_x', revision: 'refs/pr/1' });
    for (const path of ['./a/b', '../x', '/a/b', 'a/b/c', 'name', 'a/..', 'a/b@../c', 'C:\\x', 'a b/c', '', 'a/b@']) {
      expect(parseHubId(path), path).toBeUndefined();
    }
  });

  it('takes the cache folder from ESPALIER_CACHE, else one of the user', () => {
    expect(defaultCacheDir({ ESPALIER_CACHE: 'somewhere' })).toBe('somewhere');
    expect(defaultCacheDir({})).toMatch(/espalier/);
  });
});

describe('a download', () => {
  it('brings config, weights and tokenizer, nothing else, and reports progress', async () => {
    const tokenizer = readFileSync(model('tiny-bert/tokenizer.json'));
    const hub = await fakeHub({
      ...tiny,
      'tokenizer.json': tokenizer,
      'pytorch_model.bin': 'no',
      'onnx.safetensors': 'no',
      'README.md': 'no',
    });
    const seen: DownloadProgress[] = [];
    const checkpoint = await openCheckpoint('org/tiny', quick(hub, { onProgress: (progress) => seen.push(progress) }));
    expect(checkpoint.name).toBe('org/tiny');
    expect(checkpoint.revision).toBe(hub.commit);
    const view = checkpoint.tensors.get('w');
    expect(view && toFloat32(view)).toEqual(values);
    expect(checkpoint.files).toEqual(['config.json', 'tokenizer.json', 'vocab.txt', 'model.safetensors']);
    expect(loadTokenizer(checkpoint).vocabularySize).toBe(4096);
    expect(hub.requests.filter((line) => /\.bin|README|onnx/.test(line))).toEqual([]);
    expect(seen.at(-1)).toEqual({ file: 'model.safetensors', bytes: weights.length, total: weights.length });
    const ofWeights = seen.filter(({ file }) => file === 'model.safetensors').map(({ bytes }) => bytes);
    expect(ofWeights).toEqual(ofWeights.toSorted((a, b) => a - b));
  });

  it('fetches the shards that an index names', async () => {
    const shard = (name: string, data: Float32Array) =>
      writeSafetensors([{ name, dtype: 'F32', shape: [data.length], data }]);
    const hub = await fakeHub({
      'config.json': '{}',
      'model.safetensors.index.json': '{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}',
      'model-1.safetensors': shard('a', values.subarray(0, 10)),
      'model-2.safetensors': shard('b', values.subarray(10, 13)),
      'model-3.safetensors': shard('c', values.subarray(0, 1)),
    });
    const { tensors } = await openCheckpoint('org/tiny', quick(hub));
    expect([...tensors.keys()].sort()).toEqual(['a', 'b']);
    expect(hub.requests.some((line) => line.includes('model-3'))).toBe(false);
  });

  it('asks again only which commit it is; a named commit needs no network at all', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    await hubSnapshot('org/tiny@v1', options);
    hub.requests.length = 0;
    await hubSnapshot('org/tiny@v1', options);
    expect(hub.requests).toEqual(['GET /api/models/org/tiny/revision/v1']);
    hub.requests.length = 0;
    const snapshot = await hubSnapshot(`org/tiny@${hub.commit}`, options);
    expect(hub.requests).toEqual([]);
    expect(readFileSync(join(snapshot.folder, 'config.json'), 'utf8')).toBe(tiny['config.json']);
  });

  it('works offline from the cache: without a network, with the Hub down, and when told to', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    const first = await hubSnapshot('org/tiny', options);
    hub.misbehave = (_, response) => {
      json(response, 503, { error: 'down' });
      return true;
    };
    expect(await hubSnapshot('org/tiny', options)).toEqual(first);
    await hub.close();
    expect(await hubSnapshot('org/tiny', options)).toEqual(first);
    expect(await hubSnapshot('org/tiny', { ...options, offline: true })).toEqual(first);
    await caught('M028', () => hubSnapshot('org/tiny@v1', { ...options, offline: true }));
    await caught('M021', () => hubSnapshot('org/tiny@v1', options));
  });

  it('sends the token, and refuses one of another form before asking', async () => {
    const hub = await fakeHub(tiny);
    const tokens = new Set<string | undefined>();
    hub.misbehave = (request) => {
      tokens.add(request.headers.authorization);
      return false;
    };
    await hubSnapshot('org/tiny', quick(hub, { token: 'hf_secret' }));
    expect([...tokens]).toEqual(['Bearer hf_secret']);
    const error = await caught('M020', () => hubSnapshot('org/tiny', quick(hub, { token: 'sk-secret' })));
    expect(error.message).not.toContain('sk-secret');
  });

  it('follows a redirect to a store of large files without showing it the token', async () => {
    const hub = await fakeHub(tiny);
    const store = await fakeHub(tiny);
    const tokens = new Set<string | undefined>();
    store.misbehave = (request) => {
      tokens.add(request.headers.authorization);
      return false;
    };
    hub.misbehave = (_, response, path) => {
      if (!path.endsWith('.safetensors')) return false;
      response.writeHead(302, { Location: `${store.url}${path}` });
      response.end();
      return true;
    };
    expect((await openCheckpoint('org/tiny', quick(hub, { token: 'hf_secret' }))).tensors.size).toBe(1);
    expect([...tokens]).toEqual([undefined]);
  });

  it('downloads plainly what the Hub offers by its chunked protocol', async () => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (request, response, path) => {
      if (!path.endsWith('.safetensors') || request.headers.range !== 'bytes=0-0') return false;
      response.writeHead(200, {
        'Content-Type': 'application/vnd.xet-fileinfo+json',
        'X-Linked-Size': String(weights.length),
        'X-Xet-Hash': 'abc',
        ETag: '"e"',
        Link: `<${hub.url}/xet-token>; rel="xet-auth", <${hub.url}/xet-info>; rel="xet-reconstruction-info"`,
      });
      response.end('{}');
      return true;
    };
    expect((await openCheckpoint('org/tiny', quick(hub))).tensors.size).toBe(1);
    expect(hub.requests.filter((line) => line.includes('xet'))).toEqual([]);
  });

  it('may run twice at once', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    const both = await Promise.all([hubSnapshot('org/tiny', options), hubSnapshot('org/tiny', options)]);
    expect(both[0]).toEqual(both[1]);
    expect(partials(options.cacheDir)).toEqual([]);
  });
});

describe('refusals', () => {
  it('a model that does not exist', async () => {
    const hub = await fakeHub(tiny);
    const error = await caught('M022', () => openCheckpoint('org/other', quick(hub)));
    expect(error.file).toBe('org/other@main');
  });

  it('a revision that does not exist', async () => {
    const hub = await fakeHub(tiny);
    const error = await caught('M023', () => openCheckpoint('org/tiny@v9', quick(hub)));
    expect(error.message).toContain('v9');
  });

  it.each([401, 403])('a model that answers %i', async (status) => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (_, response) => {
      json(response, status, { error: 'Access to model org/tiny is restricted' });
      return true;
    };
    const error = await caught('M024', () => openCheckpoint('org/tiny', quick(hub)));
    expect(error.message).toContain('HF_TOKEN');
  });

  it('a model with PyTorch weights only, before anything is downloaded', async () => {
    const hub = await fakeHub({ 'config.json': '{}', 'pytorch_model.bin': 'x' });
    const error = await caught('M004', () => openCheckpoint('org/tiny', quick(hub)));
    expect(error.hint).toContain('safe_serialization');
    expect(hub.requests.some((line) => line.includes('/resolve/'))).toBe(false);
  });

  it.each<[string, (response: Parameters<typeof json>[0]) => void]>([
    ['a server error', (response) => json(response, 500, { error: 'oops' })],
    ['an answer that is no JSON', (response) => void response.end('<html>')],
    ['an answer of another form', (response) => json(response, 200, { sha: '../../etc' })],
    ['an empty answer', (response) => json(response, 200, null)],
  ])('%s', async (_, reply) => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (_request, response) => {
      reply(response);
      return true;
    };
    await caught('M027', () => openCheckpoint('org/tiny', quick(hub)));
  });

  it('a list of files that never ends', async () => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (_, response, path) => {
      if (!path.includes('/tree/')) return false;
      json(response, 200, [], { Link: `<${hub.url}${path}>; rel="next"` });
      return true;
    };
    await caught('M025', () => openCheckpoint('org/tiny', quick(hub, { stallMs: 400 })));
  });

  it('no network', async () => {
    const hub = await fakeHub(tiny);
    await hub.close();
    const error = await caught('M021', () => openCheckpoint('org/tiny', quick(hub)));
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('a cache that cannot be written', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    writeFileSync(join(options.cacheDir, 'models--org--tiny'), 'a file in the way');
    await caught('M034', () => openCheckpoint('org/tiny', options));
  });
});

describe('interruptions', () => {
  it('goes on where a broken connection stopped, within one call', async () => {
    const hub = await fakeHub({ 'config.json': '{}', 'model.safetensors': weights });
    const options = quick(hub, { retries: 2 });
    hub.misbehave = (request, _, path) => {
      if (path.endsWith('model.safetensors') && request.headers.range === undefined) hub.cutAfter.push(100_000);
      return false;
    };
    const { tensors } = await openCheckpoint('org/tiny', options);
    expect(tensors.get('w')?.bytes.length).toBe(values.byteLength);
    const ranges = hub.requests.filter((line) => /bytes=[1-9]/.test(line));
    expect(ranges).toHaveLength(1);
  });

  it('a truncated file is an error, never counts as present, and is completed by the next call', async () => {
    const hub = await fakeHub({ 'config.json': '{}', 'model.safetensors': weights });
    const options = quick(hub);
    hub.misbehave = (request, _, path) => {
      if (path.endsWith('model.safetensors') && request.headers.range === undefined) hub.cutAfter.push(150_000);
      return false;
    };
    const error = await caught('M025', () => openCheckpoint('org/tiny', options));
    expect(error.file).toBe('org/tiny/model.safetensors');
    expect(partials(options.cacheDir)).toHaveLength(1);
    await caught('M028', () => openCheckpoint('org/tiny', { ...options, offline: true }));
    hub.misbehave = undefined;
    const seen: DownloadProgress[] = [];
    const { tensors } = await openCheckpoint('org/tiny', { ...options, onProgress: (progress) => seen.push(progress) });
    expect(tensors.size).toBe(1);
    expect(seen[0]?.file).toBe('model.safetensors');
    expect(seen[0]?.bytes).toBeGreaterThan(0);
    expect(partials(options.cacheDir)).toEqual([]);
  });

  it('starts over with a server that cannot resume', async () => {
    const hub = await fakeHub({ 'config.json': '{}', 'model.safetensors': weights });
    const options = quick(hub, { retries: 2 });
    hub.ignoreRanges = true;
    let first = true;
    hub.misbehave = (request, _, path) => {
      if (first && path.endsWith('model.safetensors') && request.headers.range === undefined) {
        first = false;
        hub.cutAfter.push(50_000);
      }
      return false;
    };
    const view = (await openCheckpoint('org/tiny', options)).tensors.get('w');
    expect(view && toFloat32(view)).toEqual(values);
  });

  it.each(['/revision/', '/tree/', '/resolve/'])('gives up on a server that falls silent at %s', async (where) => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (_, __, path) => path.includes(where);
    await caught('M025', () => openCheckpoint('org/tiny', quick(hub, { stallMs: 150 })));
  });

  it('gives up on a file that stops in the middle, and keeps what came', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub, { stallMs: 500 });
    hub.misbehave = (request, response, path) => {
      if (!path.endsWith('.safetensors') || request.headers.range !== undefined) return false;
      response.writeHead(200, { 'Content-Length': weights.length });
      response.write(weights.subarray(0, 70_000));
      return true;
    };
    const error = await caught('M025', () => openCheckpoint('org/tiny', options));
    expect(error.message).toContain('nothing arrived');
    hub.misbehave = undefined;
    expect((await openCheckpoint('org/tiny', { ...options, stallMs: 10_000 })).tensors.size).toBe(1);
    expect(hub.requests.filter((line) => /bytes=70000-/.test(line))).toHaveLength(1);
  });

  it('waits for a server that is slow but alive', async () => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (request, response, path) => {
      if (!path.endsWith('.safetensors') || request.headers.range !== undefined) return false;
      response.writeHead(200, { 'Content-Length': weights.length });
      let at = 0;
      const drip = setInterval(() => {
        response.write(weights.subarray(at, at + 24_000));
        at += 24_000;
        if (at >= weights.length) {
          clearInterval(drip);
          response.end();
        }
      }, 60);
      return true;
    };
    // The whole file takes longer than the limit, no piece of it does.
    expect((await openCheckpoint('org/tiny', quick(hub, { stallMs: 550 }))).tensors.size).toBe(1);
  });

  it("passes on what the caller's own callback throws", async () => {
    const hub = await fakeHub(tiny);
    const onProgress = () => {
      throw new RangeError('mine');
    };
    await expect(openCheckpoint('org/tiny', quick(hub, { onProgress }))).rejects.toThrow(new RangeError('mine'));
  });

  it('stops when cancelled', async () => {
    const hub = await fakeHub(tiny);
    const controller = new AbortController();
    hub.misbehave = (_, __, path) => {
      if (!path.endsWith('.safetensors')) return false;
      controller.abort();
      return true;
    };
    await caught('M029', () => openCheckpoint('org/tiny', quick(hub, { signal: controller.signal, stallMs: 60_000 })));
    await caught('M029', () => openCheckpoint('org/tiny', quick(hub, { signal: AbortSignal.abort() })));
  });
});

describe('wrong bytes', () => {
  it.each(['config.json', 'model.safetensors'])('%s with one byte changed is refused and removed', async (name) => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    hub.misbehave = (request, response, path) => {
      if (!path.endsWith(name) || request.headers.range !== undefined) return false;
      const bad = Buffer.from(hub.files.get(name) ?? []);
      bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1;
      response.writeHead(200, { 'Content-Length': bad.length });
      response.end(bad);
      return true;
    };
    await caught('M026', () => openCheckpoint('org/tiny', options));
    expect(partials(options.cacheDir)).toEqual([]);
    hub.misbehave = undefined;
    expect((await openCheckpoint('org/tiny', options)).tensors.size).toBe(1);
  });

  it('more bytes than announced are refused', async () => {
    const hub = await fakeHub(tiny);
    hub.misbehave = (request, response, path) => {
      if (!path.endsWith('.safetensors') || request.headers.range !== undefined) return false;
      response.writeHead(200, {});
      response.end(Buffer.concat([weights, weights]));
      return true;
    };
    await caught('M026', () => openCheckpoint('org/tiny', quick(hub)));
  });

  it('a file of the cache that was cut is fetched again', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    const { folder } = await hubSnapshot('org/tiny', options);
    writeFileSync(join(folder, 'model.safetensors'), weights.subarray(0, 1000));
    expect((await openCheckpoint('org/tiny', options)).tensors.size).toBe(1);
  });

  it('a download of a process that died is taken over', async () => {
    const hub = await fakeHub(tiny);
    const options = quick(hub);
    await caught('M025', async () => {
      hub.misbehave = (request, _, path) => {
        if (path.endsWith('.safetensors') && request.headers.range === undefined) hub.cutAfter.push(90_000);
        return false;
      };
      await hubSnapshot('org/tiny', options);
    });
    hub.misbehave = undefined;
    const folder = join(options.cacheDir, 'models--org--tiny', 'partial');
    const [resting] = readdirSync(folder);
    const data = readFileSync(join(folder, resting ?? ''));
    mkdirSync(join(options.cacheDir, 'other', 'models--org--tiny', 'partial'), { recursive: true });
    // No process has a number this large.
    const orphan = join(options.cacheDir, 'other', 'models--org--tiny', 'partial', `${resting}.999999999.dead`);
    writeFileSync(orphan, data);
    hub.requests.length = 0;
    await hubSnapshot('org/tiny', { ...options, cacheDir: join(options.cacheDir, 'other') });
    expect(hub.requests.some((line) => line.endsWith(`bytes=${data.length}-${weights.length - 1}`))).toBe(true);
    expect(existsSync(orphan)).toBe(false);
  });
});
