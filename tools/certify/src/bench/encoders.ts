/**
 * Whole encoders of random weights, in the shapes of BERT-base and UltraFastBERT. Before anything is timed, every node of the first
 * layer is compared with the float64 interpreter on what the device gave that node, for some tokens (attention: for one text); then
 * the whole must give the same finite numbers twice.
 */
import type { Artefact, CompiledGraph } from '@espalier/artefact';
import { compileGraph, cuda } from '@espalier/codegen';
import { type Graph, type GraphNode, interpretLayer } from '@espalier/ir';
import { encoderGraph } from '@espalier/models';
import { type GraphInstance, type GraphRun, loadGraph, type OutputTensor } from '@espalier/runtime';
import type { Subject } from '../report.ts';
import { boundFor, fillRandom } from './data.ts';
import { type BenchTools, rates, watching } from './layers.ts';
import { compareRows, knownRows, rowsOf, sampledTokens } from './reference.ts';
import { encoderBatches, type encoders, everyPrecision, type Precision, precisions, SEQUENCE } from './works.ts';

type Encoder = (typeof encoders)[number];

const WIDTH = 768;
const LAYERS = 12;

/** The graph; weights that nobody reads are zero. */
function graphOf({ block }: Encoder, layers: number, withWeights: boolean): Graph {
  let seed = 101;
  return encoderGraph({
    layers,
    block,
    weight: (_name, shape, fan) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      return withWeights ? fillRandom(values, seed++, boundFor(fan)) : values;
    },
  });
}

/** Operations a token. */
const flopsOf = ({ block }: Encoder): number => {
  const feedforward = block === 'dense' ? 16 * WIDTH ** 2 : 4 * WIDTH * 12;
  return LAYERS * (8 * WIDTH ** 2 + 4 * WIDTH * SEQUENCE + feedforward);
};

/** Times a shape in all precisions at all batches. `layers` is less in tests of the tool itself. */
export async function timeEncoder(
  tools: BenchTools,
  encoder: Encoder,
  { batches = encoderBatches as readonly number[], layers = LAYERS, wanted = everyPrecision } = {},
): Promise<void> {
  const graph = graphOf(encoder, layers, true);
  for (const precision of wanted) {
    const { capabilities, tolerance } = precisions[precision];
    const watched = watching(tools.device);
    const loaded = await compileGraph(graph, { target: cuda, capabilities })
      .then((compiled) => loadGraph(watched, compiled, graph.weights, { prepared: 1 }))
      .catch((error: unknown) => ({ error }));
    using instance = 'error' in loaded ? undefined : loaded;
    for (const batch of batches) {
      const tokens = batch * SEQUENCE;
      const subject: Subject = { by: 'espalier', work: encoder.name, precision, tokens };
      await tools.attempt(subject, async () => {
        if (!instance) throw 'error' in loaded ? loaded.error : new Error('nothing was loaded');
        const inputs = {
          states: { data: tools.inputs.first(tokens * WIDTH), shape: [batch, SEQUENCE, WIDTH] },
          mask: { data: new Int32Array(tokens).fill(1), shape: [batch, SEQUENCE] },
        };
        const nodes = graph.nodes.filter(({ id }) => id.startsWith('0.'));
        const error = await checkNodes(instance, graph, nodes, inputs, batch, tolerance);
        await checkRepeats(instance, graph, { inputs });
        const timing = await tools.stopwatch.measure(watched.timed);
        const per = { flops: flopsOf(encoder) };
        const parts = await watched.parts();
        return { ...timing, ...rates(timing.backToBack, tokens, per), error, batch, layers, ...parts };
      });
    }
  }
}

type Inputs = Readonly<Record<string, { readonly data: Float32Array | Int32Array; readonly shape: readonly number[] }>>;

/** The largest relative error of any of `nodes`, whose outputs are kept; throws for one beyond `tolerance`. */
async function checkNodes(
  instance: GraphInstance,
  graph: Graph,
  nodes: readonly GraphNode[],
  inputs: Inputs,
  batch: number,
  tolerance: number,
): Promise<number> {
  const names = new Set(nodes.flatMap((node) => [...node.tensors.values()]));
  const results = await instance.run({ inputs, keep: [...names].filter((name) => !(name in inputs)) });
  const dataOf = (name: string): OutputTensor['data'] => {
    const data = results.get(name)?.data ?? inputs[name]?.data;
    if (!data) throw new Error(`tensor ${name} was not kept`);
    return data;
  };
  let worst = 0;
  for (const node of nodes) {
    try {
      worst = Math.max(worst, checkNode(graph, node, dataOf, batch, tolerance));
    } catch (error) {
      throw new Error(`${node.id}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return worst;
}

function checkNode(
  graph: Graph,
  node: GraphNode,
  dataOf: (name: string) => Float32Array | Int32Array,
  batch: number,
  tolerance: number,
): number {
  const roleOf = new Map(node.layer.tensors.map(({ name, role }) => [name, role]));
  const bound = [...node.tensors].map(([name, tensor]) => ({ name, role: roleOf.get(name), data: dataOf(tensor) }));
  const out = bound.find(({ role }) => role === 'output');
  if (!out) throw new Error('it has no output');
  // A layer over rows is checked on some; attention needs all tokens of a text, so it is checked on the last text.
  const byRows = node.dims.has('T');
  const units = byRows ? batch * SEQUENCE : batch;
  const chosen = byRows ? sampledTokens(units) : [batch - 1];
  const cut = (data: Float32Array | Int32Array): Float32Array | Int32Array => {
    const each = data.length / units;
    if (data instanceof Float32Array) return rowsOf(data, each, chosen);
    return Int32Array.from(chosen.flatMap((u) => [...data.subarray(u * each, (u + 1) * each)]));
  };
  const tensors: Record<string, Float32Array | Int32Array | Uint16Array | Int8Array> = {};
  for (const { name, role, data } of bound) if (role === 'input') tensors[name] = cut(data);
  for (const [name, weight] of node.weights) {
    const data = graph.weights.get(weight)?.data;
    if (data) tensors[name] = data;
  }
  const dims: Readonly<Record<string, number>> = byRows ? { T: chosen.length } : { B: 1, S: SEQUENCE };
  const y = interpretLayer(node.layer, { dims, tensors, keep: [out.name] })[out.name];
  if (!y) throw new Error('the interpreter gives nothing');
  const known = knownRows(chosen, y);
  const row = (u: number) => out.data.subarray(u * known.columns, (u + 1) * known.columns);
  return compareRows(known, chosen, row, tolerance);
}

/** Runs twice, inputs kept for the runs that are timed; throws unless all outputs are finite and the same. */
export async function checkRepeats(instance: GraphInstance, graph: Graph, call: GraphRun): Promise<void> {
  const outputs = async () => {
    const results = await instance.run({ ...call, keep: graph.inputs });
    return graph.outputs.flatMap((name) => results.get(name)?.data ?? []);
  };
  const [first, second] = [await outputs(), await outputs()];
  for (const [i, data] of first.entries()) {
    const odd = data.findIndex((v, k) => !Number.isFinite(v) || v !== second[i]?.[k]);
    if (odd >= 0)
      throw new Error(`nothing timed: element ${odd} of output ${i} is ${data[odd]}, then ${second[i]?.[odd]}`);
  }
}

/** Every artefact that `timeEncoder` compiles. All layers of an encoder are alike, so that one stands for all. */
export async function* encoderArtefacts(encoder: Encoder): AsyncGenerator<Artefact> {
  const graph = graphOf(encoder, 1, false);
  for (const precision of everyPrecision as readonly Precision[]) {
    const compiled: CompiledGraph = await compileGraph(graph, {
      target: cuda,
      capabilities: precisions[precision].capabilities,
    });
    yield* compiled.artefacts;
  }
}
