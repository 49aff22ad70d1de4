/// <reference types="@webgpu/types" />
/**
 * Runs in the browser: one contender, one model, a page of its own. The instrument is installed first; then the contender loads
 * and runs the same inputs several times, and each run is counted on its own.
 */
import { decodeGraph } from '@espalier/artefact';
import { type InputTensor, loadGraph, type WeightTensor } from '@espalier/runtime';
import { openWebGpu } from '@espalier/runtime-webgpu';
import type * as Ort from 'onnxruntime-web';
import { between, type Counts } from './counts.ts';
import { type Instrument, instrument, type WebGpuInterfaces } from './instrument.ts';

/** A tensor as it travels into and out of the page. */
export interface PlainTensor {
  readonly storage: 'f32' | 'i32';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Where a weight lies in the file of weights. */
export interface WeightPlace {
  readonly name: string;
  readonly storage: 'f32' | 'f16' | 'i32' | 'i8';
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly length: number;
}

/** Which program runs a model, and how. */
export type Contender =
  | { readonly kind: 'espalier' }
  | {
      readonly kind: 'onnxruntime-web';
      /** URL of the bundle: each holds another WebGPU provider. */
      readonly bundle: string;
      readonly options: Omit<Ort.InferenceSession.SessionOptions, 'executionProviders'>;
    };

/** One forward, described; files are fetched by their URLs. */
export interface PageCall {
  readonly contender: Contender;
  /** The compiled graph, or the ONNX model. */
  readonly model: string;
  readonly weights: string;
  readonly places: readonly WeightPlace[];
  readonly inputs: Readonly<Record<string, PlainTensor>>;
  readonly dims: Readonly<Record<string, number>>;
  readonly runs: number;
}

/** What happened. */
export interface PageResult {
  /** The adapter, in its own words. */
  readonly adapter: string;
  /** From nothing to a model that is loaded. */
  readonly load: Counts;
  /** Each run. */
  readonly runs: readonly Counts[];
  /** Of the last run. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** What the last run dispatched, by pipeline label. */
  readonly labels: Readonly<Record<string, number>>;
  readonly doubts: readonly string[];
  readonly errors: readonly string[];
  /** The program's own counters over the last run, where it has any. */
  readonly own?: Readonly<Record<string, number>>;
}

type Outputs = Record<string, readonly number[]>;

/** A loaded model. */
interface Loaded {
  run(): Promise<Outputs>;
  counters?(): Readonly<Record<string, number>>;
}

async function bytesOf(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const elements = { f32: Float32Array, i32: Int32Array, f16: Uint16Array, i8: Int8Array } as const;

async function loadEspalier(call: PageCall): Promise<Loaded> {
  const [model, bytes] = await Promise.all([bytesOf(call.model), bytesOf(call.weights)]);
  const weights = new Map(
    call.places.map(({ name, storage, shape, byteOffset, length }): [string, WeightTensor] => [
      name,
      { storage, shape, data: new elements[storage](bytes.buffer, byteOffset, length) },
    ]),
  );
  const device = await openWebGpu();
  const graph = await loadGraph(device, decodeGraph(model), weights);
  const inputs = Object.fromEntries(
    Object.entries(call.inputs).map(([name, { storage, shape, data }]): [string, InputTensor] => [
      name,
      { data: storage === 'i32' ? Int32Array.from(data) : Float32Array.from(data), shape },
    ]),
  );
  return {
    run: async () => {
      const results = await graph.run({ inputs, dims: call.dims });
      return Object.fromEntries([...results].map(([name, { data }]) => [name, [...data]]));
    },
    counters: () => ({ ...device.counters }),
  };
}

async function loadOnnx(call: PageCall, contender: Contender & { kind: 'onnxruntime-web' }): Promise<Loaded> {
  const ort: typeof Ort = await import(/* @vite-ignore */ contender.bundle);
  ort.env.wasm.wasmPaths = contender.bundle.slice(0, contender.bundle.lastIndexOf('/') + 1);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await bytesOf(call.model), {
    ...contender.options,
    executionProviders: ['webgpu'],
  });
  const feeds = Object.fromEntries(
    Object.entries(call.inputs)
      .filter(([name]) => session.inputNames.includes(name))
      .map(([name, { storage, shape, data }]) => [
        name,
        storage === 'i32'
          ? new ort.Tensor('int32', Int32Array.from(data), shape)
          : new ort.Tensor('float32', Float32Array.from(data), shape),
      ]),
  );
  return {
    run: async () => {
      const results = await session.run(feeds);
      const outputs = Object.entries(results).map(async ([name, tensor]): Promise<[string, readonly number[]]> => {
        const data = await tensor.getData(true);
        return [name, [...(data as Float32Array)]];
      });
      return Object.fromEntries(await Promise.all(outputs));
    },
  };
}

async function forward(counted: Instrument, call: PageCall): Promise<PageResult> {
  const { contender } = call;
  const start = counted.counts;
  const loaded = await (contender.kind === 'espalier' ? loadEspalier(call) : loadOnnx(call, contender));
  const load = between(start, counted.counts);
  const runs: Counts[] = [];
  let outputs: Outputs = {};
  let labels: readonly (readonly [string, number])[] = [];
  let own: Record<string, number> | undefined;
  for (let i = 0; i < call.runs; i++) {
    const before = counted.counts;
    const labelsBefore = new Map(counted.labels);
    const ownBefore = loaded.counters?.();
    outputs = await loaded.run();
    runs.push(between(before, counted.counts));
    labels = [...counted.labels].map(([label, count]) => [label, count - (labelsBefore.get(label) ?? 0)]);
    own =
      ownBefore &&
      Object.fromEntries(
        Object.entries(loaded.counters?.() ?? {}).map(([name, value]) => [name, value - (ownBefore[name] ?? 0)]),
      );
  }
  const info = (await navigator.gpu.requestAdapter())?.info;
  return {
    adapter: [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean).join(' '),
    load,
    runs,
    outputs,
    labels: Object.fromEntries(labels.filter(([, count]) => count > 0)),
    doubts: [...counted.doubts],
    errors: [...counted.errors],
    ...(own === undefined ? {} : { own }),
  };
}

const installed = instrument(globalThis as unknown as WebGpuInterfaces);
Object.assign(globalThis, { forward: (call: PageCall) => forward(installed, call) });
