/** transformers.js on a model folder of our own making: nothing is fetched. In Node it hands the model to onnxruntime-node. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sizes } from '@espalier/ir';
import { exportOnnx } from '@espalier/onnx';
import type { Baseline, Work } from '../contract.ts';

/** What a model folder must hold for `AutoModel`: a configuration that names an encoder, and the graph. */
async function modelFolder(work: Work): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-bench-model-'));
  await mkdir(join(folder, 'onnx'));
  await writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: 'bert', architectures: ['BertModel'] }));
  await writeFile(join(folder, 'onnx', 'model.onnx'), exportOnnx(work.forPeers?.() ?? work.graph));
  return folder;
}

export const transformersJs: Baseline = {
  name: 'transformers.js',
  title: 'transformers.js, which in Node runs models on onnxruntime-node',
  kinds: ['encoder'],
  prepare: async (work, threads) => {
    const { AutoModel, Tensor } = await import('@huggingface/transformers');
    const folder = await modelFolder(work);
    // The session has read all of it once it is there.
    const model = await AutoModel.from_pretrained(folder, {
      dtype: 'fp32',
      device: 'cpu',
      local_files_only: true,
      session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    }).finally(() => rm(folder, { recursive: true, force: true }));
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
        last = (await model(feeds)) as typeof last;
      },
      output: () => last[work.graph.outputs[0] ?? '']?.data as Float32Array,
      dispose: async () => {
        await model.dispose();
      },
    };
  },
};
