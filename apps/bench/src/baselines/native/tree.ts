/** Trees in C: the algorithm that our kernels are, as a C programmer writes it by hand. */
import type { Absence, Baseline, Contender, Work } from '../../contract.ts';
import { halfWeight, weight } from '../weights.ts';
import { isMissing, type Library, nativeLibrary, oneThread } from './library.ts';

/** What a function over one tree needs to know. */
interface TreeShape {
  readonly width: number;
  readonly levels: number;
  readonly nodes: number;
}

/** Of one tree with outputs as wide as its inputs; the programs know no other. */
export function treeShape(work: Work): TreeShape | Absence {
  const [trees = 0, nodes = 0, width = 0] = work.graph.weights.get('w1')?.shape ?? [];
  const out = work.graph.weights.get('w2')?.shape.at(-1);
  const known = ['w1', 'b1', 'w2'].every((name) => work.graph.weights.has(name)) && work.graph.weights.size === 3;
  if (trees !== 1 || out !== width || !known) return { reason: 'it does one tree with biases, as wide as its input' };
  return { width, nodes, levels: Math.log2(nodes + 1) };
}

/** A function `name(x, w1, b1, w2, y, [room,] tokens, width, levels)` over one tree, run on one thread. */
export function treeContender(
  library: Library,
  name: string,
  work: Work,
  rows: readonly [ArrayBufferView, ArrayBufferView] = [weight(work, 'w1'), weight(work, 'w2')],
  room?: ArrayBufferView,
): Contender | Absence {
  const shape = treeShape(work);
  if ('reason' in shape) return shape;
  const { width, levels } = shape;
  const scratch = room === undefined ? '' : 'void *room, ';
  const call = library.func(
    `void ${name}(const void *x, const void *w1, const void *b1, const void *w2, void *y, ${scratch}int32_t tokens, int32_t width, int32_t levels)`,
  );
  const y = new Float32Array(work.tokens * width);
  const [w1, w2] = rows;
  const pointers = [work.inputs['x'], w1, weight(work, 'b1'), w2, y, ...(room === undefined ? [] : [room])];
  return {
    run: () => void call(...pointers, work.tokens, width, levels),
    output: () => y,
    dispose: () => undefined,
  };
}

export const cTree: Baseline = {
  name: 'c-tree',
  title: 'the same algorithm in C for AVX2, one token at a time',
  kinds: ['tree'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const library = nativeLibrary('tree');
    return isMissing(library) ? library : treeContender(library, 'tree', work);
  },
};

export const cTreeTiled: Baseline = {
  name: 'c-tree-tiled',
  title: 'the same in C for AVX2, tokens sorted by subtree, four sharing each row',
  kinds: ['tree'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const library = nativeLibrary('tiled');
    if (isMissing(library)) return library;
    const shape = treeShape(work);
    if ('reason' in shape) return shape;
    const room = new Float32Array(work.tokens * (shape.levels + 3));
    return treeContender(library, 'tree_tiled', work, undefined, room);
  },
};

export const cTreeF16: Baseline = {
  name: 'c-tree-f16',
  title: 'the same in C for AVX2 and F16C, one token at a time, weights stored as half-precision numbers',
  kinds: ['tree'],
  prepare: async (work, threads) => {
    if (threads !== 1) return oneThread;
    const library = nativeLibrary('tree');
    if (isMissing(library)) return library;
    const [w1, w2] = [halfWeight(work, 'w1'), halfWeight(work, 'w2')];
    // Rounded weights would be another tree: some tokens would take other paths, and the check would rightly reject it.
    if (w1 === null || w2 === null) return { reason: 'the weights are no half-precision numbers' };
    return treeContender(library, 'tree_f16', work, [w1, w2]);
  },
};
