/** The published algorithms in C. The published programs themselves never set their weights, and one never read those of the output. */
import type { Baseline } from '../../contract.ts';
import { isMissing, nativeLibrary, oneThread } from './library.ts';
import { treeContender, treeShape } from './tree.ts';

function published(
  name: string,
  title: string,
  entry: string,
  roomOf?: (tokens: number, levels: number, width: number) => number,
): Baseline {
  return {
    name,
    title,
    kinds: ['tree'],
    prepare: async (work, threads) => {
      if (threads !== 1) return oneThread;
      const library = nativeLibrary('published', ['-lopenblas']);
      if (isMissing(library)) return library;
      const shape = treeShape(work);
      if ('reason' in shape) return shape;
      library.func('void set_threads(int32_t threads)')(1);
      const room = roomOf && new Float32Array(roomOf(work.tokens, shape.levels, shape.width));
      return treeContender(library, entry, work, undefined, room);
    },
  };
}

export const publishedTree = published(
  'published-cpu',
  "UltraFastBERT's CPU algorithm on OpenBLAS: one sdot and one saxpy a node",
  'tree_blas',
);

export const publishedNaive = published('published-naive', "UltraFastBERT's algorithm in plain C loops", 'tree_naive');

/** Its room is that of all gathered rows: 37 KB a token for 12 rows of 768. */
export const publishedBmm = published(
  'published-bmm',
  "UltraFastBERT's PyTorch algorithm on OpenBLAS: rows gathered, then one product a token",
  'tree_bmm',
  (tokens, levels, width) => tokens * levels * (width + 2),
);
