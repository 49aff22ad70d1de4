/** Who takes part in a group, and what each does: the group's work, or what it stands beside. */
import { baselines } from './baselines/index.ts';
import type { Baseline, Work } from './contract.ts';
import { type Block, encoderWork } from './encoder.ts';
import type { Group } from './plan.ts';
import { denseWork, treeWork } from './works.ts';

export const OURS = 'espalier';

/** Somebody to enter, by who it is and what it does. */
export interface Candidate {
  readonly name: string;
  readonly work: Work;
  /** Null: ourselves. */
  readonly by: Baseline | null;
  /** Whether we compile with the tuning that was given, if one was. */
  readonly isTuned?: true;
}

export interface Lineup {
  /** The group's work; other candidates may do other work, and say so. */
  readonly work: Work;
  readonly candidates: readonly Candidate[];
}

/** Whose dense layers stand beside a tree: the fastest there are, ours among them. Those of WebAssembly peers are slower than ours. */
const FASTEST = ['onnxruntime-node', 'openblas'];

/** Of dense layers whose time a token does not depend on how many there are, as many tokens as make a turn. */
const FEW = 128;

/** Ourselves twice, with the compiler's own choice of forms and with a tuning's, and nobody else. */
export function tunedLineup(group: Group, seed: number): Lineup {
  const { work } = lineup(group, seed, ['none']);
  return {
    work,
    candidates: [
      { name: OURS, work, by: null },
      { name: `${OURS}, tuned`, work, by: null, isTuned: true },
    ],
  };
}

/** @param asked names of baselines; empty: all that don't wait to be asked */
export function lineup(group: Group, seed: number, asked: readonly string[]): Lineup {
  const takesPart = (b: Baseline, kind: Work['kind']): boolean =>
    b.kinds.includes(kind) && (asked.length === 0 ? b.onlyIfAsked !== true : asked.includes(b.name));
  const usual = (kind: Work['kind']): readonly Baseline[] => baselines.filter((b) => takesPart(b, kind));
  const named = (...names: readonly string[]): readonly Baseline[] =>
    baselines.filter((b) => names.includes(b.name) && (asked.length === 0 || asked.includes(b.name)));
  const ours = (suffix: string, work: Work): Candidate => ({ name: `${OURS}${suffix}`, work, by: null });
  const by = (work: Work, list: readonly Baseline[], suffix = ''): readonly Candidate[] =>
    list.map((b) => ({ name: `${b.name}${suffix}`, work, by: b }));

  if (group.kind === 'encoder') return encoders();
  const { size, tokens, width } = group;
  const isPaper = group.company === 'paper';
  if (group.kind === 'dense') {
    const work = denseWork(size, tokens, seed, width);
    if (!isPaper) return { work, candidates: [ours('', work), ...by(work, usual('dense'))] };
    // Levels 1 and 2, and what a batched product of single rows is; and the tree that the paper sets beside this layer.
    const few = denseWork(size, FEW, seed, width);
    return {
      work,
      candidates: [
        ours('', work),
        ...by(work, named(...FASTEST)),
        ...by(few, named('published-level1', 'published-level2')),
        ours(', tree 4095', treeWork(11, tokens, seed, width)),
      ],
    };
  }
  const work = treeWork(size, tokens, seed, width);
  const half = treeWork(size, tokens, seed, width, 'f16');
  const neurons = 2 ** (size + 1) - 1;
  const dense = denseWork(neurons, tokens, seed, width);
  const isHuge = neurons * width > 2 ** 26;
  // Many tokens take seconds a run; there only the fastest.
  const fastest = isHuge ? ['openblas'] : tokens > 2048 ? FASTEST : [...FASTEST, 'openblas-256'];
  const published = ['published-cpu', 'published-level1', 'published-level2', 'published-naive', 'published-bmm'];
  const inC = ['c-tree', 'c-tree-tiled'];
  const trees = isHuge
    ? named(...inC, 'published-cpu')
    : isPaper
      ? named('onnxruntime-node', ...inC, ...published)
      : usual('tree').filter((b) => b.name !== 'c-tree-f16');
  return {
    work,
    candidates: [
      ours('', work),
      ...by(work, trees),
      ours(', f16 rows', half),
      ...by(half, named('c-tree-f16')),
      // What the tree stands for: as wide as it has neurons, by the fastest; and as wide as it has levels, the same arithmetic.
      ours(`, dense ${neurons}`, dense),
      ...by(dense, named(...fastest), `, dense ${neurons}`),
      ...(isPaper && !isHuge
        ? by(denseWork(neurons, FEW, seed, width), named('published-level1', 'published-level2'), `, dense ${neurons}`)
        : []),
      ours(`, dense ${size + 1}`, denseWork(size + 1, tokens, seed, width)),
    ],
  };

  function encoders(): Lineup {
    const work = (block: Block): Work => encoderWork(group.size, block, group.tokens, seed);
    const dense = work('dense');
    return {
      work: dense,
      candidates: [
        ours('', dense),
        ...by(dense, usual('encoder')),
        ours(', trees', work('tree')),
        ours(', no feedforward', work('none')),
      ],
    };
  }
}
