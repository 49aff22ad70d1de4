/**
 * The published comparisons of UltraFastBERT (arXiv 2311.10770) beside what is measured here, and what the published programs really
 * computed, as read in their sources (github.com/pbelcak/UltraFastBERT, `benchmark_cpu` and `benchmark_pytorch`). Where no figure was
 * published, or none that we know of, it says "–".
 */
import { OURS } from './contenders.ts';
import { aToken, times } from './report/format.ts';
import type { Result, Results } from './results.ts';

/** One comparison as it is shown. */
export interface PaperRow {
  readonly section: string;
  readonly claim: string;
  readonly published: string;
  /** "81x", or why there is none. */
  readonly measured: string;
  /** What was really compared, or what the figure means. */
  readonly remark: string;
}

interface Claim {
  readonly claim: string;
  readonly published: string;
  readonly remark: string;
  /** From the section's group: time of `slow` : time of `fast`, a token. */
  readonly slow: (result: Result) => number | null;
  readonly fast: (result: Result) => number | null;
}

interface Section {
  readonly title: string;
  readonly kind: Result['kind'];
  readonly tokens: number;
  /** Start of the work's name. */
  readonly work: string;
  readonly claims: readonly Claim[];
}

/** Milliseconds a token of the fastest of several; null where none was measured. */
const best =
  (...names: readonly string[]) =>
  (result: Result): number | null => {
    const found = result.rows.filter((r) => names.includes(r.name)).map((r) => aToken(r, result));
    return found.length === 0 ? null : Math.min(...found);
  };
const exactly = (value: number) => (): number => value;

const everyDense = (neurons: number): readonly string[] =>
  ['onnxruntime-node', 'openblas', OURS].map((name) => `${name}, dense ${neurons}`);
const LEVEL3 = 'openblas, dense 4095';

const UNSET =
  'The published program sets neither weights nor inputs: all tokens may take one path, whose rows stay in the cache.';

const layers: readonly Claim[] = [
  {
    claim: '12 of 4095 neurons, by arithmetic alone',
    published: '341x',
    remark: 'a count of operations; neither memory nor decisions are in it',
    slow: exactly(4095),
    fast: exactly(12),
  },
  {
    claim: 'tree, level 1 (a dot product and a scaled sum a node) : dense, level 3 (matrix products)',
    published: '78x',
    remark: `${UNSET} Its level 1 never reads the output weights: it adds rows of the output itself. Here weights are random, all are read, outputs are checked`,
    slow: best(LEVEL3),
    fast: best('published-level1'),
  },
  {
    claim: 'tree, level 1, token by token : dense, level 3',
    published: '–',
    remark: 'the same operations in a better order: a token at a time, its input and output stay in the nearest cache',
    slow: best(LEVEL3),
    fast: best('published-cpu'),
  },
  {
    claim: 'tree, level 1 : dense, level 1',
    published: '–',
    remark:
      'each neuron a dot product: the weights are read anew for every token. Dense measured at 128 tokens, its time a token is the same at any number',
    slow: best('published-level1, dense 4095'),
    fast: best('published-level1'),
  },
  {
    claim: 'tree, level 2 (a matrix and a vector) : dense, level 3',
    published: '–',
    remark:
      'In the published level 2 all tokens read one row of the input and write one row of the output, and rows of the output weights are added as they are: the activations are computed and never used',
    slow: best(LEVEL3),
    fast: best('published-level2'),
  },
  {
    claim: 'tree, level 2 : dense, level 2',
    published: '–',
    remark:
      'In the published dense level 2, too, all tokens read one row of the input and write one row of hidden values. Dense measured at 128 tokens',
    slow: best('published-level2, dense 4095'),
    fast: best('published-level2'),
  },
  {
    claim: 'tree by gathers and batched products : dense by batched products (PyTorch BMM)',
    published: '40x',
    remark:
      'The published dense side repeats the weights for each token: a product of a matrix and a vector each, not one matrix product. Here on OpenBLAS; that dense side is its level 2',
    slow: best('published-level2, dense 4095'),
    fast: best('published-bmm'),
  },
  {
    claim: 'the same tree : dense by one matrix product',
    published: '–',
    remark: 'what the comparison above is with a good dense layer on the other side',
    slow: best(...everyDense(4095)),
    fast: best('published-bmm'),
  },
  {
    claim: 'tree in plain C loops : dense, level 3',
    published: '–',
    remark: 'a compiler may not reorder the sums, so they stay scalar',
    slow: best(LEVEL3),
    fast: best('published-naive'),
  },
  {
    claim: 'our tree : best dense 4095 of any engine',
    published: '–',
    remark: 'the honest comparison: the fastest dense layer to be had here on one thread',
    slow: best(...everyDense(4095)),
    fast: best(OURS),
  },
  {
    claim: 'our tree : the best tree in C for AVX2',
    published: '–',
    remark: 'above 1x we are faster than the C programs',
    slow: best('c-tree', 'c-tree-tiled'),
    fast: best(OURS),
  },
  {
    claim: 'our tree : our dense layer of 12 neurons',
    published: '–',
    remark: 'the same arithmetic; below 1x: what decisions and scattered rows cost',
    slow: best(`${OURS}, dense 12`),
    fast: best(OURS),
  },
];

const narrower: readonly Claim[] = [
  {
    claim: 'our tree 1x11 : best dense 3072 of any engine',
    published: '–',
    remark: "the layer of BERT-base that the tree replaces: the paper's FF 1x3072",
    slow: best(OURS, 'onnxruntime-node', 'openblas'),
    fast: best(`${OURS}, tree 4095`),
  },
  {
    claim: 'dense 3072, level 1 : level 3',
    published: '–',
    remark: 'how much a dense layer loses by reading its weights for every token',
    slow: best('published-level1'),
    fast: best('openblas'),
  },
  {
    claim: 'dense 3072, level 2, as batched products of single rows : level 3',
    published: '–',
    remark: 'what the 40x above owes to its dense side',
    slow: best('published-level2'),
    fast: best('openblas'),
  },
];

const models: readonly Claim[] = [
  {
    claim: 'whole model, blocks as trees 1x11 : our own with dense blocks',
    published: '–',
    remark: 'the published factors are of the layer alone',
    slow: best(OURS),
    fast: best(`${OURS}, trees`),
  },
  {
    claim: 'whole model without its blocks : with dense blocks',
    published: '–',
    remark: "Amdahl's limit: blocks that cost nothing",
    slow: best(OURS),
    fast: best(`${OURS}, no feedforward`),
  },
  {
    claim: 'blocks as trees : the fastest dense model of any engine',
    published: '–',
    remark: 'onnxruntime-node, onnxruntime-web, transformers.js and ours',
    slow: best(OURS, 'onnxruntime-node', 'onnxruntime-web', 'transformers.js'),
    fast: best(`${OURS}, trees`),
  },
];

const wide: readonly Claim[] = [
  {
    claim: '15 of 32,767 neurons, by arithmetic alone',
    published: '–',
    remark: 'a count of operations',
    slow: exactly(32767),
    fast: exactly(15),
  },
  {
    claim: 'our tree : best dense 32767',
    published: '–',
    remark: 'OpenBLAS and ours; a gigabyte of weights on either side',
    slow: best(...everyDense(32767)),
    fast: best(OURS),
  },
  {
    claim: 'our tree with f16 rows : our tree with f32 rows',
    published: '–',
    remark: 'half of the bytes',
    slow: best(OURS),
    fast: best(`${OURS}, f16 rows`),
  },
  {
    claim: 'our tree : the best tree in C for AVX2',
    published: '–',
    remark: 'above 1x we are faster than the C programs',
    slow: best('c-tree', 'c-tree-tiled'),
    fast: best(OURS),
  },
];

const TREE = { kind: 'tree', work: 'tree 768, 4095 neurons' } as const;
const WIDE = { kind: 'tree', work: 'tree 4096, 32767 neurons', claims: wide } as const;

export const sections: readonly Section[] = [
  { title: 'layer 768 wide, 4095 neurons, batch 16,384', tokens: 16384, claims: layers, ...TREE },
  { title: 'layer 768-3072-768, batch 16,384', kind: 'dense', tokens: 16384, work: 'dense 768-3072', claims: narrower },
  {
    title: "DistilBERT's shape, 6 layers, 128 tokens",
    kind: 'encoder',
    tokens: 128,
    work: 'encoder 6',
    claims: models,
  },
  {
    title: "BERT-base's shape, 12 layers, 128 tokens",
    kind: 'encoder',
    tokens: 128,
    work: 'encoder 12',
    claims: models,
  },
  { title: 'beyond BERT: 4096 wide, 2^15 - 1 neurons, 1 token', tokens: 1, ...WIDE },
  { title: 'beyond BERT: 4096 wide, 2^15 - 1 neurons, 128 tokens', tokens: 128, ...WIDE },
];

/** The group that a section is read from; of groups of the same work the one with the published company. */
function sectionGroup({ results }: Results, title: string): Result | undefined {
  const section = sections.find((s) => s.title === title);
  if (section === undefined) return undefined;
  const { kind, tokens, work } = section;
  const hasCompany = (r: Result): boolean =>
    kind === 'encoder' || tokens < 16384 || r.rows.some((row) => row.name.startsWith('published-level'));
  return results.findLast(
    (r) =>
      r.kind === kind &&
      r.tokens === tokens &&
      r.threads === 1 &&
      r.mode === 'wide' &&
      r.work.startsWith(work) &&
      hasCompany(r),
  );
}

/** All comparisons, with what was measured of them in 256-bit mode on one thread. */
export function paperRows(results: Results): readonly PaperRow[] {
  const rows = sections.flatMap(({ title, claims }) => {
    const group = sectionGroup(results, title);
    return claims.map(({ claim, published, remark, slow, fast }): PaperRow => {
      const [a, b] = group === undefined ? [null, null] : [slow(group), fast(group)];
      const measured = a === null || b === null ? 'not measured' : times(a / b);
      return { section: title, claim, published, measured, remark };
    });
  });
  return [
    ...rows,
    {
      section: 'on a GPU',
      claim: 'tree in naive CUDA : dense in naive CUDA',
      published: '117x',
      measured: 'not measured',
      remark: 'this bench times WebAssembly; `pnpm certify:bundle` makes what times CUDA on a machine that has it',
    },
  ];
}

/** Published and measured side by side; sections of which nothing was measured are one line. */
export function paperText(results: Results): string {
  const lines = ['published and measured: UltraFastBERT, arXiv 2311.10770', '  published  measured'];
  for (const [section, rows = []] of Map.groupBy(paperRows(results), (r) => r.section)) {
    const isOpen = sections.some((s) => s.title === section) && sectionGroup(results, section) === undefined;
    lines.push('', isOpen ? `${section}: not measured` : section);
    if (isOpen) continue;
    for (const { claim, published, measured, remark } of rows)
      lines.push(
        `  ${published.padStart(9)}  ${(measured === 'not measured' ? '–' : measured).padStart(8)}  ${claim}`,
        ...wrapped(remark, 92).map((line) => `${' '.repeat(25)}${line}`),
      );
  }
  return lines.join('\n');
}

/** Lines of at most so many characters, where words allow. */
function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
