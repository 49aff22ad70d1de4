/** The float64 interpreter: the meaning of a graph, with exact routes and the bounds of every decision. */
import { interpretGraph } from '@espalier/ir';
import type { Case } from '../cases/case.ts';
import type { ExactRoute } from '../compare/routes.ts';
import type { Numbers } from '../numbers.ts';
import type { ExactRun } from './run.ts';

/** `(node, index, total)`, before each node. */
export type OnNode = (id: string, index: number, total: number) => void;

/**
 * Interprets a case. `f32` rounds every result to float32: a second opinion about what float32 costs, independent of any
 * compiler. Throws InterpretError.
 */
export function interpret(one: Case, precision: 'f64' | 'f32', onNode?: OnNode): ExactRun {
  const { graph } = one.subject;
  const run = interpretGraph(graph, {
    dims: one.dims,
    inputs: Object.fromEntries([...one.inputs].map(([name, tensor]) => [name, tensor.data])),
    bounds: true,
    precision,
    ...(onNode === undefined ? {} : { onNode }),
  });
  const exact: ExactRun['exact'] = (tree): ExactRoute => {
    const records = run.routes.get(tree.node) ?? {};
    const record = (name: string): Numbers => {
      const values = records[name];
      if (values === undefined) throw new Error(`the interpreter recorded no ${name} of ${tree.node}`);
      return values;
    };
    return {
      nodes: record(tree.nodesRecord),
      scores: record(tree.scoresRecord),
      bounds: record(tree.boundsRecord),
      gains: record(tree.gainsRecord),
    };
  };
  return {
    name: precision === 'f64' ? 'interpreter' : 'interpreter in float32',
    kind: 'interpreter',
    value: (item) => run.tensors.get(item.tensor),
    tensor: (name) => run.tensors.get(name),
    route: exact,
    exact,
    tensors: run.tensors,
  };
}
