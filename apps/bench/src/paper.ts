/** The published comparisons of UltraFastBERT (arXiv 2311.10770) beside what is measured here, and what the published programs computed. */

import { times } from './report/text.ts';
import type { Result, Results } from './results.ts';

interface Claim {
  readonly claim: string;
  readonly published: string;
  /** What was really compared. */
  readonly remark: string;
  /** From one group: time of `slow` : time of `fast`. */
  readonly slow: (result: Result) => number | null;
  readonly fast: (result: Result) => number | null;
}

const timeOf =
  (name: string) =>
  (result: Result): number | null =>
    result.rows.find((r) => r.name === name)?.time.median ?? null;

/** The fastest of several. */
const best =
  (...names: readonly string[]) =>
  (result: Result): number | null => {
    const found = names.map((name) => timeOf(name)(result)).filter((t) => t !== null);
    return found.length === 0 ? null : Math.min(...found);
  };

const DENSE = ['onnxruntime-node, dense 4095', 'openblas, dense 4095', 'espalier, dense 4095'];

export const claims: readonly Claim[] = [
  {
    claim: '12 of 4095 neurons, by arithmetic alone',
    published: '341x',
    remark: 'the count of operations; memory and decisions are not in it',
    slow: () => 4095,
    fast: () => 12,
  },
  {
    claim: 'CPU, BLAS level 1 a node : dense on optimised BLAS',
    published: '78x',
    remark:
      'the published program never set its weights (equal ones send every token down one path, whose rows stay in the cache); here they are random and routes spread',
    slow: timeOf('openblas, dense 4095'),
    fast: timeOf('published-cpu'),
  },
  {
    claim: 'our tree : best dense 4095 of any engine',
    published: '–',
    remark: 'the honest comparison: the fastest dense layer we could find',
    slow: best(...DENSE),
    fast: timeOf('espalier'),
  },
  {
    claim: 'our tree : dense of 12 neurons, the same arithmetic',
    published: '–',
    remark: 'below 1x: what the decisions and the memory cost',
    slow: timeOf('espalier, dense 12'),
    fast: timeOf('espalier'),
  },
  {
    claim: 'our tree : the same algorithm in C for AVX2',
    published: '–',
    remark: 'above 1x we are faster than the C program',
    slow: timeOf('c-tree'),
    fast: timeOf('espalier'),
  },
];

/** Published and measured side by side, for every tree group. */
export function paperText({ results }: Results): string {
  const lines: string[] = [];
  for (const result of results.filter((r) => r.kind === 'tree')) {
    lines.push(`\n${result.work}, ${result.tokens.toLocaleString('en')} tokens, ${result.mode}`);
    for (const { claim, published, remark, slow, fast } of claims) {
      const [a, b] = [slow(result), fast(result)];
      const measured = a === null || b === null ? 'not measured' : times(a / b);
      lines.push(`  ${claim}\n    published ${published}, measured ${measured}: ${remark}`);
    }
  }
  lines.push(
    '\n  The published 40x in PyTorch is against a batched matrix-vector product a token, slower than one matrix product for all; its first CPU variant never read the output weights.',
  );
  return lines.join('\n');
}
