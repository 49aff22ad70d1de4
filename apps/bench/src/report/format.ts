/** How numbers are written, in every report alike. */
import type { Reading } from '../baselines/native/ceilings.ts';
import type { Machine, Result, ResultRow } from '../results.ts';
import type { Judged, Target } from '../targets.ts';

/** Three digits, in µs, ms or s. */
export function duration(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1000, 'µs'] : ms < 1000 ? [ms, 'ms'] : [ms / 1000, 's'];
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** "1.26x", "65x": as many digits as mean something. */
export const times = (ratio: number): string => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}x`;

export const plural = (n: number, word: string): string => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

export const bits = (mode: Result['mode']): string => (mode === 'wide' ? '256-bit' : '128-bit');

/** Milliseconds a token. */
export const aToken = (row: ResultRow, result: Result, which: 'median' | 'low' | 'high' = 'median'): number =>
  row.time[which] / (row.tokens ?? result.tokens);

/** "75 % alu", "57 % mem": the nearer ceiling. */
export const limitText = ({ limit }: ResultRow): string =>
  limit === undefined ? '' : `${(100 * limit.share).toFixed(0)} % ${limit.of === 'memory' ? 'mem' : 'alu'}`;

/** A contender as tables name it; with its tokens, where it did others than the group. */
export const rowName = (row: ResultRow): string =>
  row.tokens === undefined ? row.name : `${row.name} (${row.tokens} tokens)`;

/** The machine's ceilings, for one line. */
export function ceilingsText({ ceilings }: Machine): string {
  if (ceilings === undefined) return 'no C compiler, so no ceilings';
  const { fma512, fma256, fma128, read24, read128 } = ceilings;
  const widths = `${fma512 === undefined ? '' : `${fma512.toFixed(0)} (512-bit), `}${fma256.toFixed(0)} (256-bit), ${fma128.toFixed(0)} (128-bit)`;
  const reading = ({ inOrder, randomRows }: Reading): string => `${inOrder.toFixed(0)} and ${randomRows.toFixed(0)}`;
  return `one core: ${widths} GFLOP/s; reading in order and in random rows of 3 KB, of 24 MB ${reading(read24)} GB/s, of 128 MB ${reading(read128)} GB/s`;
}

/** What a limit or a finding of a target says. */
export function amount(value: number, unit: Target['unit']): string {
  if (unit === 'x') return times(value);
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** "0.94x (0.91x … 0.98x)", or without a spread where there is none. */
export function foundText({ target: { unit }, found }: Judged): string {
  if (found === null) return '–';
  const { median, low, high } = found.value;
  const spread = low === high ? '' : ` (${amount(low, unit)} … ${amount(high, unit)})`;
  return `${amount(median, unit)}${spread}${found.who === undefined ? '' : `, ${found.who}`}`;
}

/** Verdicts in words. */
export const verdicts: Readonly<Record<Judged['verdict'], string>> = {
  aim: 'aim met',
  reach: 'met',
  short: 'short',
  open: 'not measured',
};
