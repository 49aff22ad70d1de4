/** Results as text for a terminal. */
import { styleText } from 'node:util';
import type { Amdahl, Result, Results } from '../results.ts';
import { type Judged, judge } from '../targets.ts';
import {
  amount,
  aToken,
  bits,
  ceilingsText,
  duration,
  foundText,
  limitText,
  plural,
  rowName,
  times,
  verdicts,
} from './format.ts';

export interface TextOptions {
  readonly coloured: boolean;
}

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan' | 'yellow';
type Paint = (style: Style, text: string) => string;
const painter =
  ({ coloured }: TextOptions): Paint =>
  (style, text) =>
    coloured ? styleText(style, text, { validateStream: false }) : text;

/** Cells in columns two apart; those of `left` begin at their left edge, others end at their right. */
function columns(rows: readonly (readonly string[])[], left: readonly number[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((cells) => (cells[i] as string).length)));
  return rows.map((cells) =>
    `  ${cells.map((c, i) => (left.includes(i) ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number))).join('  ')}`.trimEnd(),
  );
}

/** One group. Ratios are others' time a token to ours: above 1 we are faster. */
export function groupText(result: Result, options: TextOptions): string {
  const paint = painter(options);
  const { tokens, threads, mode, note } = result;
  const title = `${result.work} · ${plural(tokens, 'token')} · ${plural(threads, 'thread')} · ${bits(mode)}`;
  const header = ['', 'a token', '10 … 90 %', 'GFLOP/s', 'GB/s', 'of ceiling', 'to ours'];
  const body = result.rows.map((row) => [
    rowName(row),
    duration(aToken(row, result)),
    `${duration(aToken(row, result, 'low'))} … ${duration(aToken(row, result, 'high'))}`,
    row.gflops.toFixed(1),
    row.gigabytes.toFixed(1),
    limitText(row),
    row.ratio === undefined ? '' : `${times(row.ratio.median)}  (${times(row.ratio.low)} … ${times(row.ratio.high)})`,
  ]);
  const [head, ...lines] = columns([header, ...body], [0, 6]);
  return [
    paint('bold', title) + (note === undefined ? '' : paint('dim', `  ${note}`)),
    paint('dim', head as string),
    ...lines.map((text, i) => (result.rows[i]?.ratio === undefined ? paint('cyan', text) : text)),
    ...result.rejected.map(({ name, why }) => paint('red', `  ${name}: ${why}`)),
    ...result.skipped.map(({ name, reason, command }) =>
      paint('dim', `  skipped ${name}: ${reason}${command === undefined ? '' : `; ${command}`}`),
    ),
  ].join('\n');
}

const marks: Readonly<Record<Judged['verdict'], readonly [string, Style]>> = {
  aim: ['✓✓', 'green'],
  reach: ['✓', 'green'],
  short: ['✗', 'red'],
  open: ['·', 'dim'],
};

/** All targets: what must be reached, what is aimed at, what was measured, and whether that is enough. */
export function targetsText(results: Results, options: TextOptions): string {
  const paint = painter(options);
  const judged = judge(results);
  const body = judged.map((j) => {
    const { work, against, reach, aim, unit, better } = j.target;
    const limit = (value: number): string => `${better === 'less' ? '≤ ' : ''}${amount(value, unit)}`;
    return [work, against, limit(reach), limit(aim), `${marks[j.verdict][0]} ${verdicts[j.verdict]}`, foundText(j)];
  });
  const [head, ...lines] = columns([['', 'to', 'reach', 'aim', '', 'measured'], ...body], [0, 1, 4, 5]);
  const count = (verdict: Judged['verdict']): number => judged.filter((j) => j.verdict === verdict).length;
  return [
    paint('bold', 'targets'),
    paint('dim', head as string),
    ...lines.map((line, i) => paint(marks[judged[i]?.verdict ?? 'open'][1], line)),
    `  ${count('aim') + count('reach')} of ${judged.length} reached, ${count('aim')} of them at the aim; ${count('short')} short, ${count('open')} not measured`,
  ].join('\n');
}

/** What replacing the feedforward blocks of an encoder brings. */
export function amdahlText({ mode, sequence, layers, dense, tree, none, reached, possible }: Amdahl): string {
  const share = 100 * (1 - 1 / possible);
  return [
    `encoder of ${layers} layers, ${sequence} tokens, ${bits(mode)}: dense ${duration(dense)}, trees ${duration(tree)}, no feedforward blocks ${duration(none)}`,
    `  the blocks take ${share.toFixed(0)} % of the time, so Amdahl allows ${times(possible)}; trees reach ${times(reached)}, ${(100 * (reached / possible)).toFixed(0)} % of it`,
  ].join('\n');
}

/** What stands at the top. */
export function headText({ machine, seed }: Pick<Results, 'machine' | 'seed'>): string {
  const { cpu, family, cores, memory, system, node, v8, blas, date } = machine;
  return `${cpu}${family === undefined ? '' : ` (${family})`}, ${plural(cores, 'core')}, ${memory} · ${system} · Node ${node}, V8 ${v8}${blas === undefined ? '' : ` · ${blas}`} · ${date}\n${ceilingsText(machine)} · seed ${seed}`;
}

/** Call overhead, memory and size: what is no contest. */
export function extrasText({ call, memory, bundle, missing = [] }: Results): readonly string[] {
  const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} KB`;
  return [
    ...(call === undefined
      ? []
      : [
          `call overhead, tiny layer, data in place: ${call.median.toFixed(0)} ns (${call.low.toFixed(0)} … ${call.high.toFixed(0)})`,
        ]),
    ...(memory === undefined
      ? []
      : [
          `memory, ${memory.what}: the process grows by ${(memory.residentBytes / 1e6).toFixed(0)} MB for ${(memory.weightBytes / 1e6).toFixed(0)} MB of weights, ${times(memory.residentBytes / memory.weightBytes)}`,
        ]),
    ...(bundle === undefined
      ? []
      : [
          `runtime-wasm and what it needs, bundled, by gzip: ${kilobytes(bundle.oneThread)}; with threads ${kilobytes(bundle.severalThreads)}`,
        ]),
    ...missing.map((m) => `not measured: ${m}`),
  ];
}

/** What stands at the end. */
export function tailText(results: Results): string {
  const skipped = new Set(results.results.flatMap((r) => r.skipped.map((s) => s.name)));
  const rejected = results.results.reduce((n, r) => n + r.rejected.length, 0);
  return [
    ...results.amdahl.map(amdahlText),
    ...extrasText(results),
    `${plural(results.results.length, 'group')}; every output compared with the float64 interpreter or, for encoders, with each other before timing; ${rejected} wrong, ${plural(skipped.size, 'baseline')} skipped somewhere${results.stopped ? '; stopped early' : ''}`,
  ].join('\n');
}
