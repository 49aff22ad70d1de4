/**
 * Turns a diagnostic into text: the message, the lines concerned with carets under the place and dashes under related
 * places, and the way out. Plain text by default; ANSI colours on request.
 */
import type { Source, Span } from '../layer-ir.ts';
import type { Diagnostic } from './diagnostic.ts';

interface Mark {
  readonly span: Span;
  readonly text: string;
  readonly primary: boolean;
}

/** The longest piece of a source line that is shown; longer lines are cut around the mark. */
const widest = 110;

interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
}

/** Line and column of an offset. */
export function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, Math.max(0, Math.min(offset, text.length)));
  const lastBreak = before.lastIndexOf('\n');
  return { line: before.split('\n').length, column: [...before.slice(lastBreak + 1)].length + 1 };
}

/** A line without its line break. A tab takes one column so that marks stay aligned; control characters are not passed on. */
const displayed = (line: string): string =>
  line
    .replace(/\r$/, '')
    .replace(/[\t\r\v\f]/g, ' ')
    .replace(/\p{Cc}/gu, '�');

interface LineMark extends Mark {
  readonly from: number;
  readonly to: number;
}

interface Line {
  readonly number: number;
  readonly text: string;
  readonly marks: readonly LineMark[];
}

/** The lines that carry marks, in order. A mark of several lines is drawn on its first. */
function markedLines(source: Source, marks: readonly Mark[]): readonly Line[] {
  const lines = source.text.split('\n');
  const byLine = new Map<number, LineMark[]>();
  for (const mark of marks) {
    const { line, column } = positionOf(source.text, mark.span.start);
    const end = positionOf(source.text, Math.max(mark.span.end, mark.span.start));
    const length = [...displayed(lines[line - 1] ?? '')].length;
    const to = end.line === line ? end.column : length + 1;
    const entry = { ...mark, from: column, to: Math.max(to, column + 1) };
    byLine.set(line, [...(byLine.get(line) ?? []), entry]);
  }
  return [...byLine]
    .sort(([a], [b]) => a - b)
    .map(([number, lineMarks]) => cut({ number, text: displayed(lines[number - 1] ?? ''), marks: lineMarks }));
}

/** Keeps a window of a very long line around its first mark. */
function cut(line: Line): Line {
  const characters = [...line.text];
  if (characters.length <= widest) return line;
  const focus = line.marks.find((m) => m.primary) ?? line.marks[0];
  const start = Math.max(0, (focus?.from ?? 1) - 1 - Math.floor(widest / 2));
  const end = Math.min(characters.length, start + widest);
  const text = `${start > 0 ? '…' : ''}${characters.slice(start, end).join('')}${end < characters.length ? '…' : ''}`;
  const shift = start - (start > 0 ? 1 : 0);
  const limit = [...text].length + 1;
  const marks = line.marks
    .map((m) => ({ ...m, from: m.from - shift, to: Math.min(m.to - shift, limit) }))
    .filter((m) => m.from >= 1 && m.from < limit);
  return { number: line.number, text, marks };
}

/** A name of a thousand letters does not fill the screen. */
const shortened = (text: string): string => (text.length > 400 ? `${text.slice(0, 399)}…` : text);

interface Paint {
  readonly error: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly quiet: (text: string) => string;
  readonly help: (text: string) => string;
}

const plain: Paint = { error: (t) => t, strong: (t) => t, quiet: (t) => t, help: (t) => t };
const ansi = (code: string) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const coloured: Paint = { error: ansi('1;31'), strong: ansi('1'), quiet: ansi('34'), help: ansi('36') };

/** Each mark gets a row of its own, primary first, so that texts never collide. */
function drawMarks(line: Line, gutter: string, paint: Paint): readonly string[] {
  const sorted = [...line.marks].sort((a, b) => Number(b.primary) - Number(a.primary) || a.from - b.from);
  return sorted.map((mark) => {
    const width = mark.to - mark.from;
    const stroke = (mark.primary ? '^' : '-').repeat(width);
    const text = mark.text === '' ? '' : ` ${mark.text}`;
    return `${gutter}${' '.repeat(mark.from - 1)}${(mark.primary ? paint.error : paint.quiet)(stroke + text)}`;
  });
}

/**
 * The text of a diagnostic. `sources` must hold the source its span names; a missing one is rendered without lines.
 */
export function renderDiagnostic(
  d: Diagnostic,
  sources: readonly Source[],
  options: { readonly color?: boolean } = {},
): string {
  const paint = options.color === true ? coloured : plain;
  const isHere = (span: Span): boolean =>
    span.source === d.span.source && span.start === d.span.start && span.end === d.span.end;
  const own = d.labels.filter((l) => isHere(l.span)).map((l) => l.text);
  const marks: Mark[] = [
    { span: d.span, text: own.join('; '), primary: true },
    ...d.labels.filter((l) => !isHere(l.span)).map((l) => ({ ...l, primary: false })),
  ];
  const names = [...new Set(marks.map((m) => m.span.source))];
  const blocks = names.map((name) => {
    const source = sources.find((s) => s.name === name);
    const here = marks.filter((m) => m.span.source === name);
    return { name, source, lines: source === undefined ? [] : markedLines(source, here), first: here[0] };
  });
  const numbers = blocks.flatMap((b) => b.lines.map((l) => String(l.number).length));
  const indent = ' '.repeat(Math.max(1, ...numbers));
  const gutter = `${paint.quiet(`${indent} |`)} `;
  const out = [`${paint.error(`error[${d.code}]`)}${paint.strong(`: ${shortened(d.message)}`)}`];
  for (const [i, block] of blocks.entries()) {
    const arrow = i === 0 ? '-->' : ':::';
    // A related place in a text that the caller does not have is not worth a line.
    if (block.source === undefined && i > 0) continue;
    if (block.source === undefined || block.first === undefined) {
      out.push(`${indent}${paint.quiet(arrow)} ${block.name}`);
      continue;
    }
    const at = positionOf(block.source.text, block.first.span.start);
    out.push(`${indent}${paint.quiet(arrow)} ${block.name}:${at.line}:${at.column}`, gutter.trimEnd());
    let previous: number | null = null;
    for (const line of block.lines) {
      if (previous !== null && line.number > previous + 1) out.push(paint.quiet('...'));
      previous = line.number;
      out.push(`${paint.quiet(`${String(line.number).padStart(indent.length)} |`)} ${line.text}`.trimEnd());
      out.push(...drawMarks(line, gutter, paint));
    }
  }
  if (d.help !== null) out.push(`${gutter.trimEnd()}`, `${indent} ${paint.help('help:')} ${shortened(d.help)}`);
  return out.join('\n');
}
