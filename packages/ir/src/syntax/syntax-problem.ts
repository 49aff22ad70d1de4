/** A failed match as a diagnostic: what was expected, and the likely intention behind what stands there instead. */
import type { MatchResult } from 'ohm-js';
import { closest, type Diagnostic, diagnostic, suggest } from '../diagnostics/index.ts';
import type { Source, Span } from '../layer-ir.ts';
import { reserved } from './grammar.ts';

interface Failure {
  readonly isFluffy: () => boolean;
  readonly toString: () => string;
}

/** The part of ohm's match that its typings leave out. */
interface FailedMatch {
  readonly getRightmostFailurePosition: () => number;
  readonly getRightmostFailures: () => readonly Failure[];
}

const isReserved = (word: string): boolean => (reserved as readonly string[]).includes(word);

/** The token at an offset: a word, a number, an operator, or nothing at the end. */
function tokenAt(code: string, at: number): string {
  return /^(?:[A-Za-z0-9_]+(?:\.[0-9]+)?|<-|[<>=!]=|\/\/|\S)/.exec(code.slice(at, at + 80))?.[0] ?? '';
}

function listed(expected: readonly string[]): string {
  if (expected.length <= 1) return expected[0] ?? 'something else';
  return `${expected.slice(0, -1).join(', ')} or ${expected.at(-1) ?? ''}`;
}

/** ohm says `"("` and `a name`; keywords come one by one. What starts an operand is one idea. */
function expectations(failures: readonly Failure[]): readonly string[] {
  const plain = failures.filter((f) => !f.isFluffy()).map((f) => f.toString());
  // Between items ohm counts the keywords that would begin one as mere lookahead.
  const betweenItems = plain.every((f) => f === 'end of input');
  const raw = [...new Set(betweenItems ? failures.map((f) => f.toString()) : plain)];
  const operand = raw.includes('a number') && raw.includes('a reduction');
  const inOperand = new Set([
    'a number',
    'a name',
    'a function',
    'a reduction',
    'true or false',
    '"("',
    '"-"',
    '"descend"',
    '"if"',
    '"not"',
  ]);
  const statement = raw.includes('"let"') && raw.includes('"input"');
  const inStatement = new Set(['"let"', '"input"', '"weight"', '"output"', 'a name']);
  const operators = new Set(['"^"', 'an operator', '"and"', '"or"']);
  const rest = raw.filter(
    (r) =>
      !(operand && inOperand.has(r)) &&
      !(statement && inStatement.has(r)) &&
      !(operators.has(r) && raw.includes('an operator')) &&
      !(r === '";"' && raw.length > 2) &&
      !r.startsWith('not '),
  );
  const groups = [
    ...(operand ? ['an expression'] : []),
    ...(statement ? ['a statement'] : []),
    ...(raw.includes('an operator') ? ['an operator'] : []),
  ];
  return [...rest.sort(), ...groups].map((r) =>
    r.replace(/^"(.*)"$/, '`$1`').replace('end of input', 'the end of the file'),
  );
}

function hint(code: string, at: number, token: string, expected: readonly string[]): string | null {
  const before = code.slice(Math.max(0, at - 200), at);
  const line = before.slice(before.lastIndexOf('\n') + 1);
  const after = code.slice(at + token.length, at + token.length + 20);
  if (/\b(?:sum|prod|argmax|argmin)\s*$/.test(before) && token === '(') {
    return 'name the index that runs: `sum i: x[t, i]`, or `(sum i in N: …)`';
  }
  if (token === '=' && /[=<>!]$/.test(before.trimEnd())) return 'comparisons are `==`, `!=`, `<=` and `>=`';
  if (token === '*' && /\*\s*$/.test(before)) return 'a power is `x ^ 2`';
  if (token === '=' && expected.includes('an operator'))
    return 'equality is `==`; a definition is `name[index, …] = …`';
  if (token === '//' || /\S \/\/ /.test(line))
    return 'a comment after code has two spaces before its `//`; with one it is the division';
  if (isReserved(token) && expected.some((e) => e === 'a name'))
    return `\`${token}\` is a reserved word; choose another name`;
  if (token === '=' && expected.includes('`[`'))
    return 'a tensor of one number is defined as `name[] = …`, a size as `let name = …`';
  const word = /([A-Za-z]\w*)\s*$/.exec(before)?.[1];
  if (expected.length === 1 && expected[0] === '`[`' && word !== undefined) {
    const meant = closest(word, ['let', 'input', 'weight', 'output']);
    if (meant !== null) return `did you mean \`${meant}\` instead of \`${word}\`?`;
  }
  if (expected.length === 1 && expected[0] === '`=`' && (token === ')' || token === ','))
    return 'an option has a default: `name = value`';
  if (expected.includes('`:`') && expected.includes('`in`'))
    return 'the body of a reduction follows a colon: `sum i: x[i]`';
  if (expected.includes('`else`')) return 'every `if` has an `else`: it is a value';
  if (/^\d+[A-Za-z]/.test(token)) return `write \`${token.replace(/^(\d+)/, '$1 * ')}\` to multiply`;
  if (token === '.' || /^\.\d/.test(token + after)) return 'a number begins with a digit: `0.5`';
  if (token === ';' && expected.includes('`)`')) return 'options follow one `;` as `name = default`';
  if (/^[A-Za-z]\w*$/.test(token) && (expected.includes('a statement') || expected.includes('`fn`'))) {
    return suggest(token, ['layer', 'fn', 'let', 'input', 'weight', 'output'], 'a statement begins with');
  }
  return null;
}

/** The one diagnostic of a text that does not match. */
export function syntaxProblem(match: MatchResult, source: Source, code: string): Diagnostic {
  const failed = match as unknown as FailedMatch;
  const position = failed.getRightmostFailurePosition();
  // A match fails before the space in front of the token; people look at the token.
  const at = position + (/^\s*/.exec(code.slice(position))?.[0].length ?? 0);
  const token = tokenAt(code, at);
  const expected = expectations(failed.getRightmostFailures());
  const start = token === '' ? code.trimEnd().length : at;
  const span: Span = { source: source.name, start, end: start + Math.max(1, token.length) };
  const found = token === '' ? 'the file ends' : `found \`${token}\``;
  const code2 = isReserved(token) && expected.includes('a name') && expected.length <= 3 ? 'E008' : 'E002';
  return diagnostic(code2, span, `${found} where ${listed(expected)} was expected`, {
    help: hint(code, at, token, expected),
  });
}
