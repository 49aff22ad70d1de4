/** Statements as WGSL text, two spaces an indent. */
import type { Stmt } from '../../../kernel-ir/types.ts';
import { type Context, place, printed, storedValue } from './expressions.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** What statements may refer to besides what expressions do. */
export interface StatementContext extends Context {
  readonly status: string;
  /** What a barrier of the kernel must order: always workgroup memory, and storage where lanes share some. */
  readonly barrier: readonly string[];
}

/** Line comments end at any of WGSL's line breaks. */
export const oneLine = (text: string): string => text.replace(/[\n\v\f\r\u0085\u2028\u2029\0]+/g, ' ');

export function printBlock(body: readonly Stmt[], indent: string, c: StatementContext): readonly string[] {
  return body.flatMap((s) => print(s, indent, c));
}

function print(s: Stmt, indent: string, c: StatementContext): readonly string[] {
  const inner = `${indent}  `;
  switch (s.kind) {
    case 'for':
      return loop(s, indent, c);
    case 'if': {
      const head = `${indent}if (${printed(s.condition, c)}) {`;
      const lines = [head, ...printBlock(s.then, inner, c)];
      if (s.otherwise.length > 0) lines.push(`${indent}} else {`, ...printBlock(s.otherwise, inner, c));
      return [...lines, `${indent}}`];
    }
    case 'let':
      return [`${indent}let ${c.name(s.name)} = ${printed(s.value, c)};`];
    case 'var':
      return [`${indent}var ${c.name(s.name)} = ${printed(s.init, c)};`];
    case 'assign':
      return [`${indent}${c.name(s.name)} = ${printed(s.value, c)};`];
    case 'store': {
      const target = place(s.buffer, s.indices[0] ?? { kind: 'literal', value: 0, type: s.value.type }, s.offset, c);
      return [`${indent}${target} = ${storedValue(s.buffer, s.value, c)};`];
    }
    case 'barrier':
      return c.barrier.map((text) => `${indent}${text}();`);
    case 'check':
      // The highest number stays, so that the report does not depend on which thread was first.
      return [
        `${indent}if (!(${printed(s.condition, c)})) {`,
        `${inner}atomicMax(&${c.status}[0], ${s.fault});`,
        `${indent}}`,
      ];
    case 'comment':
      return [`${indent}// ${oneLine(s.text)}`];
    case 'touch':
      return [];
    case 'fragment':
    case 'mma':
      throw new Error(`legalise left ${s.kind} in ${c.kernel}`);
  }
}

function loop(s: For, indent: string, c: StatementContext): readonly string[] {
  if (s.binding !== 'serial') throw new Error(`legalise left a ${s.binding} loop in ${c.kernel}`);
  // A constant index out of bounds is an error even in a loop that never runs.
  if (s.from.kind === 'literal' && s.to.kind === 'literal' && s.to.value <= s.from.value) return [];
  const index = c.name(s.index);
  const next = s.step === 1 ? `${index}++` : `${index} += ${s.step}`;
  return [
    `${indent}for (var ${index} = ${printed(s.from, c)}; ${index} < ${printed(s.to, c)}; ${next}) {`,
    ...printBlock(s.body, `${indent}  `, c),
    `${indent}}`,
  ];
}
