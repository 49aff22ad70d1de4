/** Cases of a collection of layers: each layer a small graph of its own, all recorded in one golden file. */
import { type Checkpoint, type LayerModel, layerModels } from '@espalier/models';
import { watchTrees } from '../compare/trees.ts';
import { UsageError } from '../errors.ts';
import type { Tensor } from '../numbers.ts';
import type { Case, Item, Subject } from './case.ts';
import { asRecord, type GoldenFile, required, tensorOf } from './golden-file.ts';

/** The names under which the originals' routes were recorded, by kind of layer. */
const routeNames: Readonly<Record<LayerModel['kind'], { readonly nodes: string; readonly scores: string }>> = {
  ff: { nodes: 'nodes', scores: 'logits' },
  bertff: { nodes: 'nodes', scores: 'logits' },
  fff: { nodes: 'nodes', scores: 'logits' },
  fff_bmm: { nodes: 'all_nodes', scores: 'all_logits' },
  leaf_fff: { nodes: 'nodes', scores: 'plane_scores' },
};

/** Under which names a layer's routes are recorded, or null where they are not: hard training walks ties the other way. */
export const routeNamesOf = (layer: Pick<LayerModel, 'kind'>, label: string) =>
  label === 'train_hard' ? null : routeNames[layer.kind];

/** The layer a case of a collection runs, by case. */
export interface CollectionCase extends Case {
  readonly layer: LayerModel;
}

/** One case for each layer that the golden file has inputs for. Throws UsageError V003 when it has none. */
export function collectionCases(checkpoint: Checkpoint, golden: readonly GoldenFile[]): readonly CollectionCase[] {
  const layers = layerModels(checkpoint);
  const subjects = layers.map((layer): Subject => {
    const labels = new Map(layer.treeNodes.map((tree) => [tree.node, tree.tensor === 'y' ? 'fff' : tree.tensor]));
    return {
      id: `${checkpoint.name}/${layer.name}`,
      graph: layer.graph,
      watched: watchTrees(layer.graph, labels),
      finals: layer.graph.outputs,
      model: null,
    };
  });
  const cases = golden.flatMap((file) =>
    layers.flatMap((layer, i) =>
      file.tensors.has(`${layer.name}.x`) ? [layerCase(layer, subjects[i] as Subject, file)] : [],
    ),
  );
  if (cases.length > 0) return cases;
  const files = golden.map((file) => file.path).join(', ') || checkpoint.folder;
  throw new UsageError('V003', `${files}: no inputs of this collection's layers`, 'Name golden data with --golden.');
}

function layerCase(layer: LayerModel, subject: Subject, file: GoldenFile): CollectionCase {
  const x = required(file, `${layer.name}.x`);
  const rows = x.data.length / layer.width;
  if (!Number.isInteger(rows))
    throw new UsageError(
      'V003',
      `${file.path}: ${layer.name}.x has ${x.data.length} elements, no multiple of the width ${layer.width}`,
      'Is it golden data of this checkpoint?',
    );
  const record = asRecord(file.record[layer.name])['max_abs_diff_f32_vs_f64'];
  const [single, double] = [new Map<string, Tensor>(), new Map<string, Tensor>()];
  const lost = new Map<string, number>();
  const outputShapes = new Map<string, readonly number[]>();
  const items = [...layer.outputs].map(([name, tensor]): Item => ({ name, tensor, final: 'vector' }));
  for (const { name } of items) {
    const view = file.tensors.get(`${layer.name}.${name}`);
    const exact = file.tensors.get(`${layer.name}.${name}.f64`);
    if (view !== undefined) single.set(name, tensorOf(view));
    if (view !== undefined) outputShapes.set(name, view.shape);
    if (exact !== undefined) double.set(name, tensorOf(exact));
    const loss = typeof record === 'number' ? record : asRecord(record)[name];
    if (typeof loss === 'number') lost.set(name, loss);
  }
  // What follows from routes and scores: compared with them.
  const used = new Set(['x', 'margin', 'leaves', ...items.flatMap(({ name }) => [name, `${name}.f64`])]);
  const routes = new Map<string, { nodes: Tensor; scores: Tensor }>();
  for (const tree of subject.watched.trees) {
    const names = routeNamesOf(layer, tree.label);
    const nodes = names === null ? undefined : file.tensors.get(`${layer.name}.${names.nodes}`);
    const scores = names === null ? undefined : file.tensors.get(`${layer.name}.${names.scores}`);
    if (names === null || nodes === undefined || scores === undefined) continue;
    routes.set(tree.label, { nodes: tensorOf(nodes), scores: tensorOf(scores) });
    used.add(names.nodes).add(names.scores);
  }
  const uncompared = [...file.tensors.keys()].filter(
    (name) => name.startsWith(`${layer.name}.`) && !used.has(name.slice(layer.name.length + 1)),
  );
  return {
    id: `${file.variant}/${layer.name}`,
    subject,
    layer,
    title: `${rows} rows of ${layer.width}, golden data of the original program`,
    dims: { T: rows },
    inputs: new Map([['x', { data: x.data, shape: [rows, layer.width] }]]),
    items,
    golden: { file: file.path, single, double, routes, lost, uncompared },
    text: null,
    outputGroup: file.variant,
    outputPrefix: `${layer.name}.`,
    outputShapes: new Map([...outputShapes, ['x', x.shape]]),
  };
}
