/** Results as text for a terminal. */
import { styleText } from 'node:util';
import type { Amdahl, Result, Results } from '../results.ts';

export interface TextOptions {
  readonly coloured: boolean;
}

type Paint = (style: 'bold' | 'dim' | 'green' | 'red' | 'cyan', text: string) => string;
const painter =
  ({ coloured }: TextOptions): Paint =>
  (style, text) =>
    coloured ? styleText(style, text, { validateStream: false }) : text;

/** Three digits, in µs or ms. */
export function duration(ms: number): string {
  const [value, unit] = ms < 1 ? [ms * 1000, 'µs'] : ms < 1000 ? [ms, 'ms'] : [ms / 1000, 's'];
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** "1.26x", "65x": as many digits as mean something. */
export const times = (ratio: number): string => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}x`;

/** One group. Ratios are others' times to ours: above 1 we are faster. */
export function groupText(result: Result, options: TextOptions): string {
  const paint = painter(options);
  const { tokens, threads, mode, note } = result;
  const plural = (n: number, word: string): string => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
  const title = `${result.work} · ${plural(tokens, 'token')} · ${plural(threads, 'thread')} · ${mode === 'wide' ? '256-bit' : '128-bit'}`;
  const lines = [paint('bold', title) + (note === undefined ? '' : paint('dim', `  ${note}`))];
  const header = ['', 'a token', '10 … 90 %', 'GFLOP/s', 'GB/s', 'of peak', 'to ours'];
  const body = result.rows.map((row) => [
    row.name,
    duration(row.time.median / tokens),
    `${duration(row.time.low / tokens)} … ${duration(row.time.high / tokens)}`,
    row.gflops.toFixed(1),
    row.gigabytes.toFixed(1),
    row.ofCeiling === undefined ? '' : `${(100 * row.ofCeiling).toFixed(0)} %`,
    row.ratio === undefined ? '' : `${times(row.ratio.median)}  (${times(row.ratio.low)} … ${times(row.ratio.high)})`,
  ]);
  const widths = header.map((h, i) => Math.max(h.length, ...body.map((cells) => (cells[i] as string).length)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((c, i) => (i === 0 || i === 6 ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number))).join('  ')}`.trimEnd();
  lines.push(paint('dim', line(header)));
  result.rows.forEach((row, i) => {
    const text = line(body[i] as string[]);
    lines.push(row.ratio === undefined ? paint('cyan', text) : text);
  });
  for (const { name, why } of result.rejected) lines.push(paint('red', `  ${name}: ${why}`));
  for (const { name, reason, command } of result.skipped)
    lines.push(paint('dim', `  skipped ${name}: ${reason}${command === undefined ? '' : `; ${command}`}`));
  return lines.join('\n');
}

/** What replacing the feedforward blocks of an encoder brings. */
export function amdahlText({ mode, sequence, layers, dense, tree, none, reached, possible }: Amdahl): string {
  const share = 100 * (1 - none / dense);
  return [
    `encoder of ${layers} layers, ${sequence} tokens, ${mode}: dense ${duration(dense)}, trees ${duration(tree)}, no feedforward blocks ${duration(none)}`,
    `  the blocks take ${share.toFixed(0)} % of the time, so Amdahl allows ${times(possible)}; trees reach ${times(reached)}, ${(100 * (reached / possible)).toFixed(0)} % of it`,
  ].join('\n');
}

/** What stands at the top. */
export function headText({ machine, seed }: Pick<Results, 'machine' | 'seed'>): string {
  const peak =
    machine.gflops === undefined
      ? 'no C compiler, so no ceilings'
      : `one core: ${machine.gflops.toFixed(0)} GFLOP/s, ${machine.gigabytes?.toFixed(0)} GB/s in order`;
  return `${machine.cpu}, ${machine.cores} cores, ${machine.memory} · ${machine.system} · Node ${machine.node} · ${machine.date}\n${peak} · seed ${seed}`;
}

/** What stands at the end. */
export function tailText(results: Results): string {
  const lines = results.amdahl.map(amdahlText);
  if (results.call !== undefined)
    lines.push(
      `call overhead, tiny layer, data in place: ${results.call.median.toFixed(0)} ns (${results.call.low.toFixed(0)} … ${results.call.high.toFixed(0)})`,
    );
  const skipped = new Set(results.results.flatMap((r) => r.skipped.map((s) => s.name)));
  const rejected = results.results.reduce((n, r) => n + r.rejected.length, 0);
  lines.push(
    `${results.results.length} groups; every output compared with the float64 interpreter or, for encoders, with each other before timing; ${rejected} wrong, ${skipped.size} baselines skipped somewhere${results.stopped ? '; stopped early' : ''}`,
  );
  return lines.join('\n');
}
