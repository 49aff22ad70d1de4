/** Compiles a graph: each distinct layer once, and the steps that apply them, as a runtime's execution plan wants them. */
import type { CompiledGraph, PlanStep } from '@espalier/artefact';
import { checkGraph, type Graph, type LayerIR } from '@espalier/ir';
import { type CompileOptions, compile } from './compile.ts';
import { toSizeExpr } from './size-expr.ts';

/** Throws GraphError for a graph that doesn't fit together, and what `compile` throws. Deterministic. */
export async function compileGraph(graph: Graph, options: CompileOptions): Promise<CompiledGraph> {
  checkGraph(graph);
  const layers = new Map<LayerIR, number>();
  for (const node of graph.nodes) if (!layers.has(node.layer)) layers.set(node.layer, layers.size);
  const artefacts = await Promise.all([...layers.keys()].map((layer) => compile(layer, options)));
  const steps = graph.nodes.map((node): PlanStep => {
    const artefact = layers.get(node.layer) as number;
    const bound = new Set(artefacts[artefact]?.manifest.bindings.map((b) => b.name));
    const only = (names: ReadonlyMap<string, string>): Record<string, string> =>
      Object.fromEntries([...names].filter(([name]) => bound.has(name)));
    return {
      id: node.id,
      artefact,
      dims: Object.fromEntries([...node.dims].map(([name, size]) => [name, toSizeExpr(size)])),
      tensors: only(node.tensors),
      weights: only(node.weights),
    };
  });
  return {
    name: graph.name,
    target: options.target.name,
    dims: graph.dims,
    tensors: [...graph.tensors.values()].map((t) => ({
      name: t.name,
      storage: t.storage,
      shape: t.shape.map(toSizeExpr),
    })),
    inputs: graph.inputs,
    outputs: graph.outputs,
    steps,
    artefacts,
  };
}
