/** Colours for terminals that have them, and text laid out in columns. */

type Paint = (text: string) => string;

/** Paints text in the terminal's own colours, or leaves it alone. */
export interface Style {
  readonly coloured: boolean;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly warn: Paint;
  readonly accent: Paint;
  readonly blue: Paint;
  readonly magenta: Paint;
}

const paint =
  (open: number, close: number): Paint =>
  (text) =>
    text === '' ? '' : `\u001b[${open}m${text}\u001b[${close}m`;

const plain: Paint = (text) => text;

export const styleFor = (coloured: boolean): Style => ({
  coloured,
  bold: coloured ? paint(1, 22) : plain,
  dim: coloured ? paint(2, 22) : plain,
  good: coloured ? paint(32, 39) : plain,
  bad: coloured ? paint(31, 39) : plain,
  warn: coloured ? paint(33, 39) : plain,
  accent: coloured ? paint(36, 39) : plain,
  blue: coloured ? paint(34, 39) : plain,
  magenta: coloured ? paint(35, 39) : plain,
});

/** Whether a stream should be painted: NO_COLOR and FORCE_COLOR are honoured, then whether it is a terminal. */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** A cell: its text, how to paint it, and on which side it stands (left, unless told). */
export interface Cell {
  readonly text: string;
  readonly paint?: Paint;
  readonly right?: boolean;
}

const widthOf = (text: string): number => [...text].length;

/** Lines of a table, each column as wide as its widest cell; a last cell that would run over `limit` is cut. */
export function table(rows: readonly (readonly Cell[])[], limit = Number.POSITIVE_INFINITY): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(0, ...rows.map((row) => widthOf(row[c]?.text ?? ''))),
  );
  return rows.map((row) => {
    const cells = row.map(({ text, paint: colour = plain, right = false }, c) => {
      const space = ' '.repeat((widths[c] ?? 0) - widthOf(text));
      if (right) return space + colour(text);
      if (c < row.length - 1) return colour(text) + space;
      const before = widths.slice(0, c).reduce((sum, width) => sum + width + 2, 2);
      return colour(cut(text, limit - before));
    });
    return `  ${cells.join('  ')}`.trimEnd();
  });
}

const cut = (text: string, width: number): string =>
  widthOf(text) <= width ? text : `${[...text].slice(0, Math.max(1, width - 1)).join('')}…`;

/** Text broken at spaces so that no line is longer than `width`. */
export function wrap(text: string, width: number, indent = ''): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push(indent + line);
  return lines;
}

/** A heading that runs across the terminal: "── k0 after lower ─────". */
export function heading(text: string, style: Style, columns = 80): string {
  const rule = '─'.repeat(Math.max(2, Math.min(columns, 100) - widthOf(text) - 4));
  return `${style.dim('──')} ${style.bold(text)} ${style.dim(rule)}\n`;
}

/** "3.4 kB". */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, 'kB'] : [bytes / 1e6, 'MB'];
  return `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}
