/** What is not a contest: nanoseconds of a call, memory of a loaded model, and what a page loads. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { compile, compileGraph, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadGraph, loadLayer } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';
import { encoderOf } from './encoder.ts';
import { type Spread, spreadOf } from './measure.ts';
import type { BundleSize, Memory, Results } from './results.ts';

/** All of them, one after another; what can't be measured here is missing, and says why. */
export async function measureExtras(
  progress?: (text: string) => void,
): Promise<Pick<Results, 'call' | 'memory' | 'bundle' | 'missing'>> {
  progress?.('call overhead');
  const call = await callOverhead();
  progress?.('memory of a loaded encoder');
  const memory = await residentMemory(12);
  progress?.('the runtime as a bundle');
  const bundle = await bundleSize();
  return { call, memory, ...('reason' in bundle ? { missing: [bundle.reason] } : { bundle }) };
}

/** Nanoseconds from JavaScript to a result and back, on a layer too small to count. */
async function callOverhead(): Promise<Spread> {
  using device = await openWasm();
  const artefact = await compile(standardLayer('linear', { dims: { D: 4, O: 4 } }), { target: wasm });
  using layer = await loadLayer(device, artefact, { w: new Float32Array(16).fill(0.5), b: new Float32Array(4) });
  using prepared = await layer.prepare({ T: 1 });
  (prepared.inputs['x'] as Float32Array).fill(1);
  const calls = 20_000;
  const samples: number[] = [];
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    for (let j = 0; j < calls; j++) prepared.runSync();
    if (i >= 20) samples.push(((performance.now() - start) / calls) * 1e6);
  }
  if (prepared.outputs['y']?.[0] !== 2) throw new Error('the tiny layer gives a wrong result');
  return spreadOf(samples);
}

/**
 * What the process grows by when an encoder of BERT-base's width is loaded and has run once on 16 tokens, its weights given on demand as
 * from a file. Compiling comes before, so that the compiler's own memory is not in it.
 */
export async function residentMemory(layers: number): Promise<Memory> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const settled = async (): Promise<number> => {
    for (let i = 0; i < 4; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return process.memoryUsage.rss();
  };
  // All weights of the description are the same numbers, there before and after.
  const shared = new Float32Array(4 * 768 * 768).map((_, i) => ((i * 2654435761) % 1024) / 1e5 - 0.005);
  const work = encoderOf(layers, 'dense', 16, Math.random, (count) => shared.subarray(0, count));
  const compiled = await compileGraph(work.graph, { target: wasm });
  const weights = new Map(
    [...work.graph.weights].map(([name, { storage, shape, data }]) => [
      name,
      {
        storage,
        shape,
        load: (room: Float32Array | Int32Array | Uint16Array | Int8Array) => {
          room.set(data);
          return room;
        },
      },
    ]),
  );
  const before = await settled();
  using device = await openWasm();
  using graph = await loadGraph(device, compiled, weights);
  using prepared = await graph.prepare(work.dims);
  for (const [name, data] of Object.entries(work.inputs)) prepared.inputs[name]?.set(data);
  prepared.runSync();
  const residentBytes = (await settled()) - before;
  return { what: `encoder of ${layers} layers of 768, f32, 16 tokens`, weightBytes: work.weightBytes, residentBytes };
}

/** What of the bundler's module is used. */
interface Vite {
  build(
    options: object,
  ): Promise<
    { readonly output: readonly { readonly fileName: string; readonly code?: string }[] } | readonly unknown[]
  >;
}

/** Bytes of the runtime, bundled for a page and minified as an application's bundler does it. */
export async function bundleSize(): Promise<BundleSize | { readonly reason: string }> {
  const here = createRequire(import.meta.url);
  let [vite, root]: [Vite | null, string] = [null, ''];
  try {
    root = join(here.resolve('@espalier/runtime-wasm/package.json'), '..');
    // The bundler of its own tests; it is no dependency of this package.
    vite = (await import(createRequire(join(root, 'package.json')).resolve('vite'))) as Vite;
  } catch {
    return { reason: 'size of the runtime as a bundle: there is no bundler beside it (vite)' };
  }
  const entry = 'entry.js';
  const text =
    "import { artefactFromFiles, decodeGraph } from '@espalier/artefact'; import { openWasm } from '@espalier/runtime-wasm'; import { loadGraph, loadLayer } from '@espalier/runtime'; Object.assign(globalThis, { artefactFromFiles, decodeGraph, loadGraph, loadLayer, openWasm });";
  const { output } = (await vite.build({
    configFile: false,
    logLevel: 'error',
    root,
    plugins: [
      {
        name: 'entry',
        resolveId: (id: string) => (id === entry ? join(root, entry) : null),
        load: (id: string) => (id.endsWith(entry) ? text : null),
      },
    ],
    resolve: { conditions: ['espalier-source', 'browser', 'module', 'import'] },
    worker: { format: 'es' },
    build: { write: false, target: 'es2024', rollupOptions: { input: entry, output: { entryFileNames: 'page.js' } } },
  })) as {
    readonly output: readonly { readonly fileName: string; readonly code?: string; readonly source?: string }[];
  };
  const gzip = (pattern: RegExp): number =>
    output
      .filter(({ fileName }) => pattern.test(fileName))
      .reduce((n, { code, source }) => n + gzipSync(code ?? source ?? '', { level: 9 }).length, 0);
  const oneThread = gzip(/^page\.js$/);
  return { oneThread, severalThreads: oneThread + gzip(/(pool|worker)-.*\.js$/) };
}
