/**
 * ONNX Runtime on the same checkpoint: the graph exported to ONNX and run by code that shares nothing with ours. It is a
 * float32 program like our kernels, so it errs like them; beside that it is what our timings are compared with.
 */
import { availableParallelism } from 'node:os';
import { dimInputs, exportOnnx } from '@espalier/onnx';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Case, Subject } from '../cases/case.ts';
import type { Numbers } from '../numbers.ts';
import { type Run, runOfTensors } from './run.ts';

type Ort = typeof import('onnxruntime-node');

/** ONNX Runtime, or why there is none. */
export type OnnxEngine =
  | { readonly available: true; readonly version: string; readonly ort: Ort }
  | { readonly available: false; readonly reason: string };

/** Loads onnxruntime-node. Never throws: a machine that has no build of it still validates against the other references. */
export async function loadOnnx(): Promise<OnnxEngine> {
  try {
    const ort = await import('onnxruntime-node');
    return { available: true, version: ort.env.versions.node ?? ort.env.versions.common, ort };
  } catch (error) {
    return { available: false, reason: `onnxruntime-node does not load: ${messageOf(error)}` };
  }
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;

/** Sessions of one checkpoint's graphs. */
export interface OnnxSessions extends AsyncDisposable {
  /** Runs a case, routes of trees included. Rejects with what ONNX Runtime or the export says. */
  run(one: Case): Promise<Run>;
  /** Times a case on `threads` threads with only the final outputs, as a user would run it. */
  time(one: Case, threads: number, warm: WarmTimer): Promise<OnnxTiming>;
}

/** Milliseconds. Exporting the graph is not counted: a user of ONNX Runtime has the file. */
export interface OnnxTiming {
  readonly load: number;
  readonly first: number;
  readonly warm: number;
  readonly threads: number;
}

/** Runs something repeatedly and answers the median milliseconds. */
export type WarmTimer = (run: () => Promise<unknown>) => Promise<number>;

/** Opens sessions as cases need them. */
export function onnxSessions(ort: Ort): OnnxSessions {
  const sessions = new Map<string, Promise<InferenceSession>>();

  const create = async (bytes: Uint8Array, threads: number): Promise<InferenceSession> =>
    ort.InferenceSession.create(bytes, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    });

  const sessionOf = (subject: Subject, outputs: readonly string[]): Promise<InferenceSession> => {
    const known = sessions.get(subject.id);
    if (known !== undefined) return known;
    // Wrapped so that an export that throws is a rejection like any other.
    const made = Promise.resolve().then(() =>
      create(exportOnnx(subject.watched.graph, { outputs }), Math.min(2, availableParallelism())),
    );
    sessions.set(subject.id, made);
    return made;
  };

  const feeds = (one: Case): Record<string, OrtTensor> => {
    const given: Record<string, OrtTensor> = {};
    for (const [name, { data, shape }] of one.inputs)
      given[name] =
        data instanceof Int32Array
          ? new ort.Tensor('int32', data, shape)
          : new ort.Tensor('float32', Float32Array.from(data), shape);
    for (const dim of dimInputs(one.subject.graph))
      given[dim] = new ort.Tensor('int64', BigInt64Array.of(BigInt(one.dims[dim] ?? 0)), []);
    return given;
  };

  return {
    async run(one) {
      const { subject } = one;
      const wanted = new Set(one.items.map((item) => item.tensor));
      for (const tree of subject.watched.trees) {
        wanted.add(tree.nodesTensor).add(tree.scoresTensor);
        for (const input of tree.inputs) wanted.add(input);
      }
      for (const name of subject.graph.inputs) wanted.delete(name);
      const session = await sessionOf(subject, [...wanted]);
      const results = await session.run(feeds(one), [...wanted]);
      const tensors = new Map<string, Numbers>();
      for (const [name, value] of Object.entries(results)) tensors.set(name, numbersOf(value.data, name));
      for (const [name, input] of one.inputs) tensors.set(name, input.data);
      return runOfTensors('onnxruntime', 'onnxruntime', tensors);
    },
    async time(one, threads, warm) {
      const bytes = exportOnnx(one.subject.graph, { outputs: one.subject.finals });
      const given = feeds(one);
      const start = performance.now();
      const session = await create(bytes, threads);
      const loaded = performance.now();
      await session.run(given);
      const ran = performance.now();
      const median = await warm(() => session.run(given));
      await session.release();
      return { load: loaded - start, first: ran - loaded, warm: median, threads };
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions.values()) await (await session.catch(() => undefined))?.release();
    },
  };
}

function numbersOf(data: OrtTensor['data'], name: string): Numbers {
  if (data instanceof Float32Array || data instanceof Int32Array || data instanceof Float64Array) return data;
  throw new TypeError(`onnxruntime gave ${name} in an array of another type`);
}
