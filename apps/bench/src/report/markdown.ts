/** Results as Markdown: what was set out to be reached, the published comparisons, and every group. */
import { paperRows } from '../paper.ts';
import type { Result, Results } from '../results.ts';
import { judge } from '../targets.ts';
import { amount, aToken, bits, duration, foundText, limitText, plural, rowName, times, verdicts } from './format.ts';
import { amdahlText, extrasText, headText } from './text.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** A table whose columns from `right` on are numbers. */
function table(header: readonly string[], rows: readonly (readonly string[])[], right: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const rule = `|${header.map((_, i) => (i >= right ? ' ---: ' : ' --- ')).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

function groupTable(result: Result): string {
  const rows = result.rows.map((r) => [
    rowName(r),
    duration(aToken(r, result)),
    `${duration(aToken(r, result, 'low'))} … ${duration(aToken(r, result, 'high'))}`,
    r.gflops.toFixed(1),
    r.gigabytes.toFixed(1),
    limitText(r),
    r.ratio === undefined ? '' : `${times(r.ratio.median)} (${times(r.ratio.low)} … ${times(r.ratio.high)})`,
  ]);
  const title = `### ${result.work}, ${plural(result.tokens, 'token')}, ${plural(result.threads, 'thread')}, ${bits(result.mode)}`;
  const notes = [
    ...(result.note === undefined ? [] : [`${result.note}; seed ${result.seed}`]),
    ...result.rejected.map(({ name, why }) => `**${cell(name)}: ${cell(why)}**`),
    ...result.skipped.map(({ name, reason }) => `not there: ${cell(name)} (${cell(reason)})`),
  ];
  const header = ['', 'a token', '10 … 90 %', 'GFLOP/s', 'GB/s', 'of ceiling', 'its time : ours'];
  return [title, '', table(header, rows, 1), ...notes.map((n) => `\n${n}`)].join('\n');
}

/** The text. */
export function markdownOf(results: Results): string {
  const judged = judge(results);
  const limit = (value: number, j: (typeof judged)[number]): string =>
    `${j.target.better === 'less' ? '≤ ' : ''}${amount(value, j.target.unit)}`;
  const [machine = '', ceilings = ''] = headText(results).split('\n');
  const paper = paperRows(results).filter((r) => r.measured !== 'not measured' || r.published !== '–');
  return `${[
    '# Espalier beside its peers',
    `${machine}  \n${ceilings.replace(/ · seed \d+$/, '')}  \n\`${results.command}\`${results.revision === undefined ? '' : ` at ${results.revision}`}`,
    "Times are medians of turns, ratios medians of ratios turn by turn, in brackets the 10th and 90th percentile; above 1x ours is faster. Every output was compared with the float64 interpreter (encoders: with each other) before anything was timed. “alu”: share of the widest vectors' multiply-adds; “mem”: share of what reading weights in such order gives, each weight counted once a run.",
    '## Targets',
    table(
      ['', 'to', 'reach', 'aim', '', 'measured'],
      judged.map((j) => [
        j.target.work,
        j.target.against,
        limit(j.target.reach, j),
        limit(j.target.aim, j),
        verdicts[j.verdict],
        foundText(j),
      ]),
      6,
    ),
    extrasText(results)
      .map((line) => `- ${line}`)
      .join('\n'),
    '## Published and measured',
    table(
      ['UltraFastBERT, arXiv 2311.10770', '', 'published', 'measured', 'what it means'],
      paper.map(({ section, claim, published, measured, remark }) => [section, claim, published, measured, remark]),
      5,
    ),
    "## Amdahl's lines",
    results.amdahl.map((a) => `- ${amdahlText(a).replace('\n  ', '; ')}`).join('\n'),
    '## Groups',
    ...results.results.map(groupTable),
  ].join('\n\n')}\n`;
}
