/** Colours for terminals that have them, and text laid out in columns. */

/** Paints text, or leaves it alone. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly accent: (text: string) => string;
}

const paint =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;

const plain = (text: string): string => text;

/** A palette of the terminal's own colours, or none. */
export const styleFor = (coloured: boolean): Style =>
  coloured
    ? {
        bold: paint(1, 22),
        dim: paint(2, 22),
        good: paint(32, 39),
        bad: paint(31, 39),
        warn: paint(33, 39),
        accent: paint(36, 39),
      }
    : { bold: plain, dim: plain, good: plain, bad: plain, warn: plain, accent: plain };

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

/** A cell: its text, how to paint it, and on which side it stands. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/** Lines of a table: columns as wide as their widest cell, the first and last to the left, the others to the right. */
export function table(rows: readonly (readonly Cell[])[], indent = '  '): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(0, ...rows.map((row) => [...(row[c]?.text ?? '')].length)),
  );
  return rows.map((row) =>
    `${indent}${row
      .map(({ text, paint: colour = plain }, c) => {
        const space = ' '.repeat((widths[c] as number) - [...text].length);
        const painted = text === '' ? '' : colour(text);
        return c === 0 || c === columns - 1 ? painted + (c === columns - 1 ? '' : space) : space + painted;
      })
      .join('  ')}`.trimEnd(),
  );
}

/** Text broken at spaces so that no line is longer than `width`. */
export function wrap(text: string, width: number, indent: string): readonly string[] {
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
