/**
 * The published algorithms in C. The published programs themselves never set their weights or inputs, and some never read what they
 * should (`paper.ts` says which); these compute what was meant, on weights of ours, and are checked like everybody else.
 */
import type { Absence, Baseline, Contender, Work } from '../../contract.ts';
import { transposed, weight } from '../weights.ts';
import { blasLibrary, isMissing, type Library, oneThread } from './library.ts';
import { treeContender, treeShape } from './tree.ts';

interface Trees {
  readonly entry: string;
  readonly room?: (tokens: number, levels: number, width: number) => number;
}

interface Published {
  readonly name: string;
  readonly title: string;
  readonly tree?: Trees;
  /** Its function for dense layers. */
  readonly dense?: string;
  readonly onlyIfAsked?: true;
}

function published({ name, title, tree, dense, onlyIfAsked }: Published): Baseline {
  return {
    name,
    title,
    kinds: [...(tree === undefined ? [] : (['tree'] as const)), ...(dense === undefined ? [] : (['dense'] as const))],
    ...(onlyIfAsked === true ? { onlyIfAsked } : {}),
    prepare: async (work, threads) => {
      if (threads !== 1) return oneThread;
      const library = blasLibrary('published');
      if (isMissing(library)) return library;
      library.func('void set_threads(int32_t threads)')(1);
      if (work.kind === 'dense' && dense !== undefined) return denseContender(library, dense, work);
      return tree === undefined ? { reason: 'it does dense layers' } : ofTree(library, tree, work);
    },
  };
}

function ofTree(library: Library, { entry, room }: Trees, work: Work): Contender | Absence {
  const shape = treeShape(work);
  if ('reason' in shape) return shape;
  const scratch = room && new Float32Array(room(work.tokens, shape.levels, shape.width));
  return treeContender(library, entry, work, undefined, scratch);
}

function denseContender(library: Library, entry: string, work: Work): Contender {
  const call = library.func(
    `void ${entry}(const void *x, const void *w1, const void *b1, const void *w2, const void *b2, void *h, void *y, int32_t tokens, int32_t width, int32_t hidden)`,
  );
  const [hidden = 0, width = 0] = work.graph.weights.get('w1')?.shape ?? [];
  const [h, y] = [new Float32Array(hidden), new Float32Array(work.tokens * width)];
  const [w1, b1, b2] = ['w1', 'b1', 'b2'].map((name) => weight(work, name));
  const w2 = transposed(weight(work, 'w2'), width, hidden);
  return {
    run: () => void call(work.inputs['x'], w1, b1, w2, b2, h, y, work.tokens, width, hidden),
    output: () => y,
    dispose: () => undefined,
  };
}

export const publishedTree = published({
  name: 'published-cpu',
  title: "UltraFastBERT's CPU algorithm on OpenBLAS, one sdot and one saxpy a node, token by token",
  tree: { entry: 'tree_blas' },
});

export const publishedLevel1 = published({
  name: 'published-level1',
  title: 'the published level 1 on OpenBLAS: one sdot and one saxpy a neuron; trees level by level for all tokens',
  tree: { entry: 'tree_level1', room: (tokens) => tokens },
  dense: 'dense_level1',
  onlyIfAsked: true,
});

export const publishedLevel2 = published({
  name: 'published-level2',
  title: 'the published level 2 on OpenBLAS: products of a matrix and a vector, one a token',
  tree: { entry: 'tree_level2', room: (tokens) => 2 * tokens },
  dense: 'dense_level2',
  onlyIfAsked: true,
});

export const publishedNaive = published({
  name: 'published-naive',
  title: "UltraFastBERT's algorithm in plain C loops",
  tree: { entry: 'tree_naive' },
  onlyIfAsked: true,
});

/** Its room is that of all gathered rows: 37 KB a token for 12 rows of 768. */
export const publishedBmm = published({
  name: 'published-bmm',
  title: "UltraFastBERT's PyTorch algorithm on OpenBLAS: rows gathered, then one product a token",
  tree: { entry: 'tree_bmm', room: (tokens, levels, width) => tokens * levels * (width + 2) },
  onlyIfAsked: true,
});
