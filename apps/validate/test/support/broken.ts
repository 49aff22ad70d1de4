/** A target whose compiler is wrong on purpose: it compiles other layers than it was given. */
import type { Graph, LayerIR } from '@espalier/ir';
import type { TargetFamily } from '../../src/targets/family.ts';
import { wasmFamily } from '../../src/targets/wasm.ts';

/** Replaces the first occurrence of a piece of the Layer IR's JSON in every layer that has it. */
export const miscompile = (from: string, to: string): ((layer: LayerIR) => LayerIR) => {
  const seen = new Map<LayerIR, LayerIR>();
  return (layer) => {
    const known = seen.get(layer);
    if (known !== undefined) return known;
    const text = JSON.stringify(layer);
    const wrong = text.includes(from) ? (JSON.parse(text.replace(from, to)) as LayerIR) : layer;
    seen.set(layer, wrong);
    return wrong;
  };
};

/** The WebAssembly family with a fault in its compiler, under the name `broken`. */
export function brokenFamily(fault: (layer: LayerIR) => LayerIR): TargetFamily {
  return {
    name: 'broken',
    known: ['broken'],
    defaults: () => ['broken'],
    async open(spec) {
      const right = await wasmFamily.open('wasm');
      return {
        ...right,
        spec,
        compileKey: 'broken',
        compile: (graph: Graph) =>
          right.compile({ ...graph, nodes: graph.nodes.map((node) => ({ ...node, layer: fault(node.layer) })) }),
      };
    },
  };
}
