/**
 * The look at a text before parsing: blanks out comments (offsets stay), and reports what the grammar could only report
 * badly: foreign characters, brackets without a partner, nesting that would exhaust the stack.
 */
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { Source, Span } from '../layer-ir.ts';

/** Deepest nesting of brackets. The recursive parser's stack is the reason for a limit. */
const deepestBrackets = 48;
/** Longest text that is read, in characters. */
const longestText = 200_000;
/** Foreign characters of one file that are reported; a binary file has thousands. */
const reportedCharacters = 5;

const closerOf: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** What people type or paste instead of a character of the language. */
const meant: Readonly<Record<string, string>> = {
  '×': '*',
  '·': '*',
  '∗': '*',
  '÷': '/',
  '−': '-',
  '–': '-',
  '—': '-',
  '≤': '<=',
  '≥': '>=',
  '≠': '!=',
  '←': '<-',
  '∑': 'sum i: …',
  Σ: 'sum i: …',
  '√': 'sqrt(…)',
  '²': '^ 2',
  '&': 'and',
  '|': 'or',
  '!': 'not',
  '#': '// for comments',
  '"': 'names without quotes',
  "'": 'names without quotes',
  '“': 'names without quotes',
  '”': 'names without quotes',
  '?': 'if … then … else …',
  '@': 'sum i: a[i] * b[i]',
};

export interface Scan {
  /** The text with comments as spaces, of the same length. */
  readonly text: string;
  readonly problems: readonly Diagnostic[];
}

const isAllowed = (c: string): boolean => /[A-Za-z0-9_ \t\r\n\v\f+\-*/%^=<>!(){}[\],;:.]/.test(c);

/** Reads a text once. A byte order mark at the start is space. */
export function scan(source: Source): Scan {
  const { text } = source;
  const at = (start: number, length = 1): Span => ({ source: source.name, start, end: start + length });
  if (text.length > longestText) {
    return { text: '', problems: [diagnostic('E004', at(0), `the file is longer than ${longestText} characters`)] };
  }
  const problems: Diagnostic[] = [];
  const open: { readonly bracket: string; readonly start: number }[] = [];
  let foreign = 0;
  let tooDeep = false;
  let out = '';
  for (let i = 0; i < text.length; ) {
    if (text.startsWith('//', i) && isComment(text, i)) {
      const lineEnd = text.indexOf('\n', i);
      const end = lineEnd === -1 ? text.length : lineEnd;
      if (looksLikeDivision(text, i, end)) {
        problems.push(
          diagnostic('E002', at(i, 2), 'this reads as a comment but looks like a division', {
            help: 'put one space before `//` to divide; a comment has two',
          }),
        );
      }
      out += ' '.repeat(end - i);
      i = end;
      continue;
    }
    const c = String.fromCodePoint(text.codePointAt(i) ?? 32);
    const isMark = c === '\uFEFF' && i === 0;
    if (!isMark && (!isAllowed(c) || (c === '!' && text[i + 1] !== '='))) {
      foreign++;
      // `&&` is one mistake, not two.
      const doubled = (c === '&' || c === '|') && text[i + 1] === c;
      const instead = /\s/.test(c) ? 'an ordinary space' : meant[c];
      if (foreign <= reportedCharacters) {
        const shown = /[\p{C}\p{Z}]/u.test(c)
          ? `U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
          : c;
        problems.push(
          diagnostic('E001', at(i, doubled ? 2 : c.length), `\`${doubled ? c + c : shown}\` has no meaning here`, {
            help: instead === undefined ? 'names are ASCII letters, digits and _' : `write \`${instead}\``,
          }),
        );
      }
      if (doubled) {
        out += '  ';
        i += 2;
        continue;
      }
    }
    const closer = closerOf[c];
    if (closer !== undefined) {
      open.push({ bracket: c, start: i });
      if (open.length > deepestBrackets && !tooDeep) {
        tooDeep = true;
        problems.push(
          diagnostic('E004', at(i), `more than ${deepestBrackets} brackets are open here`, {
            help: 'give parts names: a function, or a definition of their own',
          }),
        );
      }
    } else if (c === ')' || c === ']' || c === '}') {
      const last = open.at(-1);
      if (last === undefined) {
        problems.push(diagnostic('E003', at(i), `\`${c}\` closes nothing`, { help: 'remove it' }));
      } else if (closerOf[last.bracket] === c) {
        open.pop();
      } else {
        if (!open.some((o) => closerOf[o.bracket] === c)) {
          problems.push(diagnostic('E003', at(i), `\`${c}\` closes nothing`, { help: 'remove it, or open it before' }));
          return { text: '', problems };
        }
        const expected = closerOf[last.bracket] ?? '';
        problems.push(
          diagnostic('E003', at(i), `\`${c}\` where \`${expected}\` should come first`, {
            labels: [{ span: at(last.start), text: `\`${last.bracket}\` is still open` }],
            help: `close it with \`${expected}\``,
          }),
        );
        // One wrong bracket would make every later one look wrong.
        return { text: '', problems };
      }
    }
    out += isMark ? ' ' : c;
    i += c.length;
  }
  // What is named is kept in objects by its name, and JavaScript's take this one for something else.
  const unusable = out.search(/\b__proto__\b/);
  if (unusable >= 0)
    problems.push(
      diagnostic('E008', at(unusable, '__proto__'.length), '`__proto__` cannot be a name', {
        help: 'choose another name',
      }),
    );
  const last = open.at(-1);
  if (last !== undefined && problems.length === 0) {
    problems.push(
      diagnostic('E003', at(last.start), `\`${last.bracket}\` is never closed`, {
        help: `add \`${closerOf[last.bracket] ?? ''}\``,
      }),
    );
  }
  return { text: out, problems };
}

/**
 * `//` is a comment where it is first on its line or has two spaces (or a tab) before it; elsewhere it divides. The
 * rule asks for no knowledge of what follows, and a comment taken for a division fails to parse instead of computing
 * something.
 */
function isComment(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 2), at);
  if (at === 0 || /(?:^|[\n\t\r]|\s\s)$/.test(before)) return true;
  if (before.length === 1 && /\s/.test(before)) return true;
  return text.startsWith('///', at);
}

/** A comment after code that holds nothing but a number is most likely a division in aligned columns. */
function looksLikeDivision(text: string, at: number, end: number): boolean {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  return /\S/.test(text.slice(lineStart, at)) && /^\/\/\s*\d+\s*[)\],]?\s*$/.test(text.slice(at, end));
}
