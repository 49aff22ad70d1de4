/** The original programs' recorded outputs as runs: one of float32, and where recorded one of float64. */
import type { Case } from '../cases/case.ts';
import type { Run } from './run.ts';

/** The golden runs of a case; none when it has no golden data. */
export function goldenRuns(one: Case): readonly Run[] {
  const { golden } = one;
  if (golden === null) return [];
  const single: Run = {
    name: 'golden',
    kind: 'golden',
    value: (item) => golden.single.get(item.name)?.data,
    tensor: (name) => {
      const item = one.items.find((candidate) => candidate.tensor === name && golden.single.has(candidate.name));
      return item === undefined ? one.inputs.get(name)?.data : golden.single.get(item.name)?.data;
    },
    route: (tree) => {
      const recorded = golden.routes.get(tree.label);
      if (recorded === undefined) return undefined;
      return { nodes: recorded.nodes.data, scores: recorded.scores.data };
    },
  };
  if (golden.double.size === 0) return [single];
  const double: Run = {
    name: 'golden f64',
    kind: 'golden-f64',
    value: (item) => golden.double.get(item.name)?.data,
    tensor: () => undefined,
    route: () => undefined,
  };
  return [single, double];
}
