/** Tables of texts, for terminals and for Markdown. */
import type { Ratio } from './report.ts';

/** Three digits that mean something: 0.0712, 6.03, 143. */
export const digits = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Number.isFinite(value) ? Number(value.toPrecision(3)).toString() : '–';

/** Columns as wide as their widest cell, numbers to the right. `kinds` says which columns are texts. */
export function plainTable(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const widths = head.map((name, c) => Math.max(name.length, ...rows.map((row) => (row[c] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
}

/** The same as Markdown; columns after the first are aligned to the right. */
export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  `| ${head.join(' | ')} |`,
  `| ${head.map((_, c) => (c === 0 ? '---' : '---:')).join(' | ')} |`,
  ...rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`),
];

export const ratioHead = ['', 'products', 'tokens', 'µs', 'compared with, µs', 'times', 'aim'] as const;

/** Rows of comparisons, as `ratioHead` names their cells. */
export const ratioRows = (ratios: readonly Ratio[]): readonly (readonly string[])[] =>
  ratios.map(({ name, precision, tokens, microseconds, comparedWith, chosen, times, aim, met }) => [
    name,
    precision ?? '',
    String(tokens),
    digits(microseconds),
    comparedWith === undefined ? '' : `${digits(comparedWith)}${chosen === undefined ? '' : ` (${chosen})`}`,
    times === undefined ? '' : digits(times),
    aim === undefined ? '' : `${times === undefined ? '≤ ' : '≥ '}${aim}${met ? ', met' : ', missed'}`,
  ]);
