/**
 * One cold start, measured in a process of its own: from an empty Node to the first result for one sentence on the bundled
 * model. Run by main.ts as `cold.ts espalier|save|saved|onnxruntime|layer MODEL FILE`; prints one line of JSON. `save` writes
 * the compiled graph to FILE, `saved` starts from there, without the compiler.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [, , who = 'espalier', name = 'tiny-ultrafastbert', file = ''] = process.argv;
const model = `${import.meta.dirname}/../../../models/${name}`;
const sentence = 'The president of the united [MASK] spoke to the people.';

/** The checkpoint's graph and one sentence, fed; the same for both sides and not counted. */
async function prepare() {
  const { feedText, graphOf, loadTokenizer, openCheckpoint } = await import('@espalier/models');
  const checkpoint = await openCheckpoint(model);
  const tokenizer = loadTokenizer(checkpoint);
  const mapped = graphOf(checkpoint, { outputs: 'final', mlmPositions: 'asked' });
  const encoding = tokenizer.encode([sentence]);
  return { mapped, fed: feedText(mapped, encoding, tokenizer) };
}

async function median(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  while (performance.now() - start < 2000) {
    const before = performance.now();
    await run();
    times.push(performance.now() - before);
  }
  return times.slice(times.length >> 1).sort((a, b) => a - b)[times.length >> 2] ?? Number.NaN;
}

if (who === 'espalier') {
  const { mapped, fed } = await prepare();
  const start = performance.now();
  const { compileGraph, wasm } = await import('@espalier/codegen');
  const { loadGraph } = await import('@espalier/runtime');
  const { openWasmTarget } = await import('@espalier/runtime-wasm');
  using device = await openWasmTarget('wasm');
  using graph = await loadGraph(device, await compileGraph(mapped.graph, { target: wasm }), mapped.graph.weights);
  await graph.run(fed);
  const cold = performance.now() - start;
  process.stdout.write(JSON.stringify({ cold, warm: await median(() => graph.run(fed)) }));
} else if (who === 'save') {
  const { mapped } = await prepare();
  const { encodeGraph } = await import('@espalier/artefact');
  const { compileGraph, wasm } = await import('@espalier/codegen');
  writeFileSync(file, encodeGraph(await compileGraph(mapped.graph, { target: wasm })));
} else if (who === 'saved') {
  const { mapped, fed } = await prepare();
  const bytes = readFileSync(file);
  const start = performance.now();
  const { decodeGraph } = await import('@espalier/artefact');
  const { loadGraph } = await import('@espalier/runtime');
  const { openWasmTarget } = await import('@espalier/runtime-wasm');
  using device = await openWasmTarget('wasm');
  using graph = await loadGraph(device, decodeGraph(bytes), mapped.graph.weights);
  await graph.run(fed);
  process.stdout.write(JSON.stringify({ cold: performance.now() - start, warm: 0 }));
} else if (who === 'onnxruntime') {
  const { mapped, fed } = await prepare();
  const { exportOnnx } = await import('@espalier/onnx');
  const bytes = exportOnnx(mapped.graph);
  const start = performance.now();
  const { InferenceSession, Tensor } = await import('onnxruntime-node');
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const { evaluate } = (await import('@espalier/ir')).Sizes;
  const dims = new Map(Object.entries(fed.dims));
  const feed = Object.fromEntries(
    mapped.graph.inputs.map((name) => {
      const shape = (mapped.graph.tensors.get(name)?.shape ?? []).map((s) => evaluate(s, dims));
      return [name, new Tensor('int32', Int32Array.from(fed.inputs[name] as ArrayLike<number>), shape)];
    }),
  );
  await session.run(feed);
  const cold = performance.now() - start;
  process.stdout.write(JSON.stringify({ cold, warm: await median(() => session.run(feed)) }));
} else {
  // The layers of one BERT-base layer, front end and all passes; loading the assembler is left out.
  const { compile, wasm } = await import('@espalier/codegen');
  const { standardLayer } = await import('@espalier/ir');
  await wasm.assemble?.('(module)', 'warm');
  const D = 768;
  const start = performance.now();
  const layers = [
    standardLayer('linear', { dims: { D, O: D } }),
    standardLayer('attention', { dims: { heads: 12, width: 64 } }),
    standardLayer('add', { dims: { D } }),
    standardLayer('layer_norm', { dims: { D } }),
    standardLayer('ff', { dims: { D, H: 4 * D, O: D } }),
  ];
  for (const layer of layers) await compile(layer, { target: wasm });
  process.stdout.write(JSON.stringify({ cold: performance.now() - start, warm: 0 }));
}
