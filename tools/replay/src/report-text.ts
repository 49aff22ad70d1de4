/** The comparison for a terminal. */
import type { Comparison } from './compare.ts';
import type { Difference } from './diffs.ts';
import { cellsOf, type Row } from './summary.ts';

export interface Report {
  readonly base: string;
  readonly head: string;
  readonly comparison: Comparison;
  readonly differences: readonly Difference[];
  readonly rows: readonly Row[];
}

/** One sentence that says it all. */
export function verdict({ comparison, differences }: Report): string {
  const { changed, added, removed, compared } = comparison;
  const lone = [
    ...(added.length > 0 ? [`${added.length} new kernels`] : []),
    ...(removed.length > 0 ? [`${removed.length} removed kernels`] : []),
  ];
  const rest = lone.length > 0 ? `; ${lone.join(', ')}` : '';
  if (changed.length === 0) return `No difference in ${compared} texts${rest}.`;
  const distinct = differences.length === changed.length ? '' : `, ${differences.length} different changes`;
  return `${changed.length} of ${compared} texts differ${distinct}${rest}.`;
}

/** The table and the first `limit` diffs. */
export function reportText(report: Report, coloured: boolean, limit: number): string {
  const paint =
    (code: number) =>
    (text: string): string =>
      coloured ? `\u001b[${code}m${text}\u001b[0m` : text;
  const [bold, red, green, cyan, dim] = [1, 31, 32, 36, 2].map(paint) as [Paint, Paint, Paint, Paint, Paint];
  const line = (text: string): string =>
    text.startsWith('@@') ? cyan(text) : text.startsWith('+') ? green(text) : text.startsWith('-') ? red(text) : text;
  const shown = report.differences.slice(0, limit).map((difference) => {
    const { change, hunks, also } = difference;
    const more = also.length === 0 ? '' : dim(`  and ${also.length} more with the same change`);
    const facts = change.facts.map((fact) => `  ${fact}\n`).join('');
    return `${bold(change.where)}${more}\n${change.statements === '' ? '' : `${dim(`  ${cut(change.statements)}`)}\n`}${facts}${hunks
      .trimEnd()
      .split('\n')
      .map(line)
      .join('\n')}\n`;
  });
  const hidden = report.differences.length - shown.length;
  return [
    `${report.base}\n→ ${report.head}\n`,
    ...(report.rows.length > 0 ? [tableText(report.rows)] : []),
    ...shown,
    ...(hidden > 0
      ? [dim(`… ${hidden} more changes: --limit ${report.differences.length} or --html FILE shows them.\n`)]
      : []),
    `${bold(verdict(report))}\n`,
  ].join('\n');
}

type Paint = (text: string) => string;

const cut = (text: string): string => (text.length <= 118 ? text : `${text.slice(0, 117)}…`);

function tableText(rows: readonly Row[]): string {
  const cells = rows.map(cellsOf);
  const widths = [0, 1, 2, 3].map((c) => Math.max(...cells.map((row) => (row[c] ?? '').length)));
  const lines = cells.map((row) => row.map((text, c) => text.padEnd(widths[c] ?? 0)).join('  '));
  return `${lines.map((text) => text.trimEnd()).join('\n')}\n`;
}
