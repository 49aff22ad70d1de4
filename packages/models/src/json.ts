/**
 * JSON with located errors: the platform's parser reads the text, and only when it refuses (or when duplicate keys matter)
 * a scanner walks the text to say where. The scanner keeps its own stack, so nesting cannot exhaust the machine's.
 */
import { CheckpointError, type CheckpointErrorCode, quoted } from './errors.ts';

/** What {@link scanJson} found first: nothing wrong, a syntax error, or a key written twice in one object. */
export type JsonScan =
  | { readonly kind: 'ok' }
  | { readonly kind: 'syntax'; readonly offset: number; readonly expected: string }
  | { readonly kind: 'duplicate'; readonly offset: number; readonly key: string; readonly depth: number };

/**
 * Parses `text`.
 *
 * @param file named in the error
 * @param code the error's code, where JSON is only a part of another format
 * @throws CheckpointError M003 (or `code`) with line and column of the first mistake
 */
export function parseJson(text: string, file: string | undefined, code: CheckpointErrorCode = 'M003'): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const scan = scanJson(text);
    const detail = scan.kind === 'syntax' ? `${place(text, scan.offset)}: expected ${scan.expected}` : 'unreadable';
    throw new CheckpointError(code, `not valid JSON, ${detail}`, { file, cause });
  }
}

/** `line L column C` of an offset, both from 1, the column in UTF-16 units. */
export function place(text: string, offset: number): string {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++;
    start = at + 1;
  }
  return `line ${line} column ${offset - start + 1}`;
}

/** A plain object (not null, not an array), or undefined. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

/** What JSON calls the kind of a value, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  if (typeof value === 'object') return 'an object';
  return value === undefined ? 'nothing' : String(value);
}

type Expectation = 'value' | 'valueOrEnd' | 'key' | 'keyOrEnd' | 'colon' | 'commaOrEnd' | 'end';

const EXPECTED: Readonly<Record<Expectation, string>> = {
  value: 'a value',
  valueOrEnd: 'a value or ]',
  key: 'a key in double quotes',
  keyOrEnd: 'a key in double quotes or }',
  colon: ': after the key',
  commaOrEnd: 'a comma or the closing bracket',
  end: 'the end of the text',
};

/** Walks JSON text once and says what is wrong first. Depth 1 is the outermost object. */
export function scanJson(text: string): JsonScan {
  const stack: (Set<string> | undefined)[] = [];
  let expect: Expectation = 'value';
  let at = 0;
  const wrong = (offset: number, expected: string): JsonScan => ({ kind: 'syntax', offset, expected });
  const close = (): void => {
    stack.pop();
    expect = stack.length === 0 ? 'end' : 'commaOrEnd';
  };
  for (;;) {
    while (isSpace(text.charCodeAt(at))) at++;
    if (at >= text.length) return expect === 'end' ? { kind: 'ok' } : wrong(at, EXPECTED[expect]);
    const character = text[at];
    const keys = stack.at(-1);
    switch (expect) {
      case 'end':
        return wrong(at, EXPECTED.end);
      case 'colon':
        if (character !== ':') return wrong(at, EXPECTED.colon);
        at++;
        expect = 'value';
        break;
      case 'commaOrEnd':
        if (character === ',') {
          expect = keys === undefined ? 'value' : 'key';
        } else if (character === (keys === undefined ? ']' : '}')) {
          close();
        } else {
          return wrong(at, EXPECTED.commaOrEnd);
        }
        at++;
        break;
      case 'key':
      case 'keyOrEnd': {
        if (character === '}' && expect === 'keyOrEnd') {
          close();
          at++;
          break;
        }
        if (character !== '"' || keys === undefined) return wrong(at, EXPECTED[expect]);
        const end = endOfString(text, at);
        if (end < 0) return wrong(~end, 'a legal character or the closing quote of the key');
        const key = JSON.parse(text.slice(at, end)) as string;
        if (keys.has(key)) return { kind: 'duplicate', offset: at, key, depth: stack.length };
        keys.add(key);
        at = end;
        expect = 'colon';
        break;
      }
      case 'value':
      case 'valueOrEnd': {
        if (character === ']' && expect === 'valueOrEnd') {
          close();
          at++;
          break;
        }
        if (character === '{' || character === '[') {
          stack.push(character === '{' ? new Set() : undefined);
          expect = character === '{' ? 'keyOrEnd' : 'valueOrEnd';
          at++;
          break;
        }
        const end = character === '"' ? endOfString(text, at) : endOfScalar(text, at);
        if (end < 0)
          return wrong(~end, character === '"' ? 'a legal character or the closing quote' : EXPECTED[expect]);
        at = end;
        expect = stack.length === 0 ? 'end' : 'commaOrEnd';
      }
    }
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The offset behind the closing quote, or the complement (~) of the offset of the first illegal character. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (Number.isNaN(code) || code < 0x20) return ~at;
    if (code !== 0x5c) {
      at++;
      continue;
    }
    const escaped = text[at + 1] ?? '';
    if (escaped === 'u') {
      if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) return ~at;
      at += 6;
    } else if ('"\\/bfnrt'.includes(escaped) && escaped !== '') {
      at += 2;
    } else {
      return ~at;
    }
  }
}

/** The offset behind a number, true, false or null, or the complement (~) of the offset where it goes wrong. */
function endOfScalar(text: string, start: number): number {
  for (const word of ['true', 'false', 'null']) if (text.startsWith(word, start)) return start + word.length;
  let at = start;
  const digits = (): boolean => {
    const from = at;
    while (isDigit(text.charCodeAt(at))) at++;
    return at > from;
  };
  if (text[at] === '-') at++;
  if (text[at] === '0') at++;
  else if (!digits()) return ~start;
  if (text[at] === '.') {
    at++;
    if (!digits()) return ~at;
  }
  if (text[at] === 'e' || text[at] === 'E') {
    at++;
    if (text[at] === '+' || text[at] === '-') at++;
    if (!digits()) return ~at;
  }
  return at;
}
