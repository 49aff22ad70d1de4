/**
 * What was set out to be reached, as data: each row a ratio or a size, what it must reach and what it aims at, and how it is read from
 * results. `bench --targets` measures what they need; the verdicts stand in every report that has the groups for them.
 */
import { OURS } from './contenders.ts';
import type { Spread } from './measure.ts';
import type { Mode } from './own.ts';
import { PAPER } from './plan.ts';
import type { Result, Results } from './results.ts';

export interface Target {
  readonly work: string;
  /** What it is compared with, '' for what is measured by itself. */
  readonly against: string;
  readonly reach: number;
  readonly aim: number;
  readonly unit: 'x' | '%' | 'ns' | 'KB';
  /** Which way is better; ratios and shares: 'more'. */
  readonly better: 'more' | 'less';
  /** Null where the results lack what it needs. */
  readonly find: (results: Results) => Found | null;
}

export interface Found {
  readonly value: Spread;
  /** Who was the best of several, where that isn't said by `against`. */
  readonly who?: string;
}

/** 'aim' and 'reach': met; 'short': not; 'open': not measured. */
export type Verdict = 'aim' | 'reach' | 'short' | 'open';

export interface Judged {
  readonly target: Target;
  readonly found: Found | null;
  readonly verdict: Verdict;
}

interface Place {
  readonly kind: Result['kind'];
  readonly tokens: number;
  readonly threads?: number;
  readonly mode?: Mode;
  /** Start of the work's name. */
  readonly work: string;
}

const placed =
  ({ kind, tokens, threads = 1, mode = 'wide', work }: Place) =>
  ({ results }: Results): Result | null => {
    const found = results.filter(
      (r) =>
        r.kind === kind &&
        r.tokens === tokens &&
        r.threads === threads &&
        r.mode === mode &&
        r.work.startsWith(work) &&
        r.rows.some((row) => row.name === OURS),
    );
    // The published comparisons do the same work beside others.
    return found.find((r) => !r.group.startsWith(PAPER)) ?? found[0] ?? null;
  };

/** Time of the fastest of several : ours. */
const fastest =
  (place: Place, ...names: readonly string[]) =>
  (results: Results): Found | null => {
    const rows = placed(place)(results)?.rows.filter((r) => names.includes(r.name)) ?? [];
    const best = rows.reduce<(typeof rows)[number] | null>(
      (a, b) => (a?.ratio === undefined || (b.ratio !== undefined && b.ratio.median < a.ratio.median) ? b : a),
      null,
    );
    if (best?.ratio === undefined) return null;
    return { value: best.ratio, ...(names.length > 1 ? { who: best.name.replace(/, dense \d+$/, '') } : {}) };
  };

/** Ours : time of one. */
const inverse =
  (place: Place, name: string) =>
  (results: Results): Found | null => {
    const ratio = placed(place)(results)?.rows.find((r) => r.name === name)?.ratio;
    return ratio === undefined
      ? null
      : { value: { median: 1 / ratio.median, low: 1 / ratio.high, high: 1 / ratio.low } };
  };

const exactly = (value: number): Spread => ({ median: value, low: value, high: value });

const dense = (tokens: number, more: Partial<Place> = {}): Place => ({
  ...{ kind: 'dense', tokens, work: 'dense 768-3072-768' },
  ...more,
});
const tree = (tokens: number): Place => ({ kind: 'tree', tokens, work: 'tree 768, 4095 neurons' });
const encoder: Place = { kind: 'encoder', tokens: 128, work: 'encoder 12 layers' };

const tokensText = (n: number): string => `${n.toLocaleString('en')} ${n === 1 ? 'token' : 'tokens'}`;

type Limits = Pick<Target, 'reach' | 'aim'>;
const ratio = (work: string, against: string, limits: Limits, find: Target['find']): Target => ({
  ...{ work, against, unit: 'x', better: 'more', find },
  ...limits,
});

const DENSE = ['onnxruntime-node', 'openblas', OURS].map((name) => `${name}, dense 4095`);

export const targets: readonly Target[] = [
  ratio(
    'dense 768-3072-768, 1 token',
    'onnxruntime-node',
    { reach: 1, aim: 1.3 },
    fastest(dense(1), 'onnxruntime-node'),
  ),
  ...[128, 1024].map((t) =>
    ratio(
      `dense 768-3072-768, ${tokensText(t)}`,
      'onnxruntime-node',
      { reach: 0.9, aim: 1.1 },
      fastest(dense(t), 'onnxruntime-node'),
    ),
  ),
  ...[128, 1024].map((t) =>
    ratio(
      `the same, ${tokensText(t)}, two threads`,
      'onnxruntime-node',
      { reach: 0.75, aim: 1 },
      fastest(dense(t, { threads: 2 }), 'onnxruntime-node'),
    ),
  ),
  ...[128, 1024].map((t) =>
    ratio(
      `dense 768-3072-768, ${tokensText(t)}`,
      'onnxruntime-web',
      { reach: 3, aim: 4 },
      fastest(dense(t), 'onnxruntime-web'),
    ),
  ),
  ...[128, 1024].map((t) =>
    ratio(
      `the same, ${tokensText(t)}, 128-bit`,
      'onnxruntime-web',
      { reach: 1.7, aim: 2.2 },
      fastest(dense(t, { mode: 'plain' }), 'onnxruntime-web'),
    ),
  ),
  ...(
    [
      [1, 250, 350],
      [128, 45, 65],
      [1024, 45, 65],
      [16384, 65, 105],
    ] as const
  ).map(([t, reach, aim]) =>
    ratio(`tree 1x11, ${tokensText(t)}`, 'best dense 4095', { reach, aim }, fastest(tree(t), ...DENSE)),
  ),
  ...[1, 128, 16384].map((t) =>
    ratio(
      `tree 1x11, ${tokensText(t)}`,
      'the best tree in C for AVX2',
      { reach: 1 / 1.3, aim: 1 },
      fastest(tree(t), 'c-tree', 'c-tree-tiled'),
    ),
  ),
  ratio(
    'tree 1x11 with f16 rows, 1 token',
    'the same with f32 rows',
    { reach: 1.4, aim: 1.8 },
    inverse(tree(1), `${OURS}, f16 rows`),
  ),
  ratio(
    "BERT-base's shape, 128 tokens",
    'onnxruntime-node',
    { reach: 0.85, aim: 1.1 },
    fastest(encoder, 'onnxruntime-node'),
  ),
  ratio("BERT-base's shape, 128 tokens", 'onnxruntime-web', { reach: 3, aim: 4 }, fastest(encoder, 'onnxruntime-web')),
  {
    ...ratio('its blocks as trees 1x11, 128 tokens', 'what Amdahl allows', { reach: 80, aim: 95 }, ({ amdahl }) => {
      const line = amdahl.findLast((a) => a.mode === 'wide' && a.layers === 12 && a.sequence === 128);
      return line === undefined ? null : { value: exactly((100 * line.reached) / line.possible) };
    }),
    unit: '%',
  },
  {
    ...{ work: 'a call from JavaScript to a result, tiny layer', against: '', reach: 300, aim: 100 },
    ...{ unit: 'ns', better: 'less', find: ({ call }) => (call === undefined ? null : { value: call }) },
  },
  {
    ...{ work: 'memory of a loaded model', against: 'its weights', reach: 1.3, aim: 1.1, unit: 'x', better: 'less' },
    find: ({ memory }) => (memory === undefined ? null : { value: exactly(memory.residentBytes / memory.weightBytes) }),
  },
  {
    ...{ work: 'runtime-wasm, bundled and compressed', against: '', reach: 20, aim: 10, unit: 'KB', better: 'less' },
    find: ({ bundle }) => (bundle === undefined ? null : { value: exactly(bundle.oneThread / 1000) }),
  },
];

/** All targets with what the results say of them, in order. */
export function judge(results: Results, list: readonly Target[] = targets): readonly Judged[] {
  return list.map((target) => {
    const found = target.find(results);
    return { target, found, verdict: verdictOf(target, found) };
  });
}

/** By the median; the spread is for readers. */
function verdictOf({ reach, aim, better }: Target, found: Found | null): Verdict {
  if (found === null || Number.isNaN(found.value.median)) return 'open';
  const value = found.value.median;
  const meets = (limit: number): boolean => (better === 'more' ? value >= limit : value <= limit);
  return meets(aim) ? 'aim' : meets(reach) ? 'reach' : 'short';
}
