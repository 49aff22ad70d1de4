/** ONNX Runtime on our own export of the same work, in the form that it takes best: its native build for Node, and its WebAssembly build. */
import { Sizes } from '@espalier/ir';
import { exportOnnx } from '@espalier/onnx';
import type { Baseline, Contender, Work } from '../contract.ts';

/** What both builds have in common. */
interface Runtime {
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: object,
    ): Promise<{
      run(feeds: object): Promise<Record<string, { readonly data: unknown }>>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (type: 'float32' | 'int32', data: Float32Array | Int32Array, dims: readonly number[]) => object;
}

async function contender({ InferenceSession, Tensor }: Runtime, work: Work, options: object): Promise<Contender> {
  const session = await InferenceSession.create(exportOnnx(work.forPeers?.() ?? work.graph), options);
  const dims = new Map(Object.entries(work.dims));
  const feeds = Object.fromEntries(
    Object.entries(work.inputs).map(([name, data]) => {
      const shape = (work.graph.tensors.get(name)?.shape ?? []).map((s) => Sizes.evaluate(s, dims));
      return [name, new Tensor(data instanceof Float32Array ? 'float32' : 'int32', data, shape)];
    }),
  );
  let last: Record<string, { readonly data: unknown }> = {};
  return {
    run: async () => {
      last = await session.run(feeds);
    },
    output: () => last[work.graph.outputs[0] ?? '']?.data as Float32Array,
    dispose: () => session.release(),
  };
}

/** A tree is exported as one gather a level: the engine has no operation for it. */
const kinds: Baseline['kinds'] = ['dense', 'tree', 'encoder'];

export const onnxruntimeNode: Baseline = {
  name: 'onnxruntime-node',
  title: 'ONNX Runtime, native build for Node (trees as one gather a level)',
  kinds,
  prepare: async (work, threads) =>
    contender((await import('onnxruntime-node')) as unknown as Runtime, work, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    }),
};

/** Threads of the WebAssembly module, which are settled for good when it starts. */
let webThreads: number | null = null;

export const onnxruntimeWeb: Baseline = {
  name: 'onnxruntime-web',
  title: 'ONNX Runtime, WebAssembly build, run in Node (trees as one gather a level)',
  kinds,
  prepare: async (work, threads) => {
    if (webThreads !== null && webThreads !== threads)
      return {
        reason: `in this process it runs on ${webThreads} ${webThreads === 1 ? 'thread' : 'threads'} for good`,
        command: `pnpm bench --threads ${threads}`,
      };
    const web = await import('onnxruntime-web');
    web.env.wasm.numThreads = threads;
    webThreads = threads;
    return contender(web as unknown as Runtime, work, { executionProviders: ['wasm'] });
  },
};
