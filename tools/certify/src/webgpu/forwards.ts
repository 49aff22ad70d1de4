/**
 * Forwards beside onnxruntime-web's WebGPU provider, in one process on one adapter. Both are timed by the clock in the same way: from
 * the call until the outputs are in the host's memory. Outputs are compared with the float64 interpreter's first.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileGraph, wgsl } from '@espalier/codegen';
import { interpretGraph, Sizes } from '@espalier/ir';
import { loadGraph } from '@espalier/runtime';
import { compilerCapabilities, openWebGpu } from '@espalier/runtime-webgpu';
import {
  bertBaseLayer,
  bundled,
  bundledNames,
  type Case,
  ultraFastBertLayer,
  type Writing,
} from '@espalier/webgpu-counters/cases';
import { differenceOf, type Tensors, TOLERANCE } from '@espalier/webgpu-counters/difference';
import type * as Ort from 'onnxruntime-web';
import { ORT_FOLDER, ortFiles } from '../bundle/layout.ts';
import type { Figures } from '../report.ts';
import { attempt, type StageContext } from '../stages/stage.ts';
import { ORT_ON_WEBGPU, OURS_ON_WEBGPU } from './contenders.ts';
import type { Dawn } from './dawn.ts';

/** Milliseconds to time in, and least and most runs. */
const MILLISECONDS = 300;
const LEAST_RUNS = 10;
const MOST_RUNS = 200;
const QUICK_RUNS = 2;
const WARM_UP = 3;

/** Somebody who does forwards; outputs are the caller's. */
interface Contender {
  run(): Promise<Tensors>;
  dispose(): Promise<void>;
}

/** Makers of what is timed, by name. */
const casesOf = (models: string, quick: boolean): readonly (() => Case | Promise<Case>)[] => {
  const ours = bundledNames.filter((name) => existsSync(join(models, name)));
  if (quick) return ours.slice(0, 1).map((name) => () => bundled(name, models));
  return [
    ...ours.map((name) => () => bundled(name, models)),
    ...[16, 128].flatMap((tokens) => [() => bertBaseLayer(tokens), () => ultraFastBertLayer(tokens)]),
  ];
};

async function openOurs({ gpu }: Dawn, from: Case): Promise<Contender> {
  const device = await openWebGpu({ gpu });
  const compiled = await compileGraph(from.graph, { target: wgsl, capabilities: compilerCapabilities(device) });
  const graph = await loadGraph(device, compiled, from.graph.weights);
  return {
    run: async () => {
      const results = await graph.run({ inputs: from.inputs, dims: from.dims });
      return Object.fromEntries([...results].map(([name, { data }]) => [name, data]));
    },
    dispose: async () => {
      graph[Symbol.dispose]();
      await device[Symbol.asyncDispose]();
    },
  };
}

async function openTheirs(folder: string, from: Case, writing: Writing): Promise<Contender> {
  const base = `${pathToFileURL(folder).href}/`;
  const ort = (await import(/* @vite-ignore */ `${base}${ortFiles[0]}`)) as typeof Ort;
  ort.env.wasm.wasmPaths = base;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const model = from.onnx[writing];
  if (!model) throw new Error(`${from.name} is not written ${writing}`);
  const session = await ort.InferenceSession.create(model, { executionProviders: ['webgpu'] });
  const values = new Map(Object.entries(from.dims));
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => {
      const shape = (from.graph.tensors.get(name)?.shape ?? []).map((size) => Sizes.evaluate(size, values));
      const data = from.inputs[name] ?? new Float32Array();
      const tensor =
        data instanceof Int32Array ? new ort.Tensor('int32', data, shape) : new ort.Tensor('float32', data, shape);
      return [name, tensor];
    }),
  );
  return {
    run: async () => {
      const results = await session.run(feeds);
      return Object.fromEntries(
        await Promise.all(
          Object.entries(results).map(
            async ([name, tensor]) => [name, (await tensor.getData(true)) as Float32Array] as const,
          ),
        ),
      );
    },
    dispose: () => session.release(),
  };
}

const at = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

/** Compares the first outputs, then times. Throws where they are wrong, or where nothing was dispatched. */
async function forwards(dawn: Dawn, contender: Contender, expected: Tensors, quick: boolean): Promise<Figures> {
  const start = performance.now();
  const first = await contender.run();
  const firstByClock = performance.now() - start;
  const error = differenceOf(first, expected);
  if (!(error <= TOLERANCE)) throw new Error(`nothing timed: outputs are ${error} off, allowed are ${TOLERANCE}`);
  for (let i = 0; i < (quick ? 1 : WARM_UP); i++) await contender.run();
  const before = dawn.dispatches();
  const times: number[] = [];
  const begin = performance.now();
  const least = quick ? QUICK_RUNS : LEAST_RUNS;
  const most = quick ? QUICK_RUNS : MOST_RUNS;
  while (times.length < least || (times.length < most && performance.now() - begin < MILLISECONDS)) {
    const from = performance.now();
    await contender.run();
    times.push(performance.now() - from);
  }
  const dispatches = (dawn.dispatches() - before) / times.length;
  if (dispatches === 0) throw new Error('nothing timed: it dispatched nothing, so it did not run on WebGPU');
  const sorted = Float64Array.from(times).sort();
  return {
    byClock: at(sorted, 0.5),
    lowByClock: at(sorted, 0.1),
    highByClock: at(sorted, 0.9),
    runs: times.length,
    firstByClock,
    dispatches,
    error,
  };
}

/** Times every case through both; each is a check with its figures. */
export async function timeForwards(context: StageContext, dawn: Dawn): Promise<void> {
  const folder = join(context.root, ORT_FOLDER);
  const absent = ortFiles.find((name) => !existsSync(join(folder, name)));
  if (absent !== undefined)
    context.report({ name: ORT_ON_WEBGPU, outcome: 'skipped', detail: `${absent} is not in the bundle` });
  for (const make of casesOf(join(context.root, 'models'), context.quick)) {
    const from = await make();
    const tokens = (from.dims['T'] ?? 0) || (from.dims['B'] ?? 1) * (from.dims['S'] ?? 1);
    const { tensors } = interpretGraph(from.graph, { inputs: from.inputs, dims: from.dims });
    const expected = Object.fromEntries(from.graph.outputs.map((name) => [name, tensors.get(name) ?? []]));
    const time = (by: string, writing: Writing | undefined, open: () => Promise<Contender>): Promise<boolean> =>
      attempt(
        context,
        `${by}: ${from.name}${writing === undefined ? '' : `, ${writing}`}, ${tokens} tokens`,
        async () => {
          const contender = await open();
          try {
            const figures = await forwards(dawn, contender, expected, context.quick);
            return { ...figures, ...(writing === undefined ? {} : { writing }) };
          } finally {
            await contender.dispose();
          }
        },
        { by, work: from.name, precision: 'f32', tokens },
        // What goes wrong in someone else's program is told, and fails no certification of ours.
        by === ORT_ON_WEBGPU ? 'skipped' : 'failed',
      );
    await time(OURS_ON_WEBGPU, undefined, () => openOurs(dawn, from));
    if (absent === undefined)
      for (const writing of Object.keys(from.onnx) as Writing[])
        await time(ORT_ON_WEBGPU, writing, () => openTheirs(folder, from, writing));
  }
}
