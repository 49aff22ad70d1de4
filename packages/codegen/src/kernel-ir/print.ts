/** Kernel IR as text for people: what `explain` and dumps show. Not read back. */
import { Sizes } from '@espalier/ir';
import type { Expr, Kernel, KernelBuffer, Stmt, ValueType } from './types.ts';

const infix: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  floordiv: '//',
  mod: '%',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  and: 'and',
  or: 'or',
  bit_and: '&',
  bit_or: '|',
  bit_xor: '^',
  shl: '<<',
  shr_s: '>>',
  shr_u: '>>>',
};

/** "f32", "f32x4". */
export const printType = (t: ValueType): string => (t.lanes === 1 ? t.scalar : `${t.scalar}x${t.lanes}`);

function printNumber(value: number, type: ValueType): string {
  if (type.scalar === 'bool') return value === 0 ? 'false' : 'true';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return type.scalar === 'f32' && Number.isInteger(value) && !/[e.]/.test(text) ? `${text}.0` : text;
}

export function printExpr(e: Expr): string {
  switch (e.kind) {
    case 'literal':
      return printNumber(e.value, e.type);
    case 'ref':
    case 'dim':
      return e.name;
    case 'builtin':
      return `@${e.which}`;
    case 'load': {
      const at = e.indices.map(printExpr).join(', ') + (e.offset === 0 ? '' : ` + ${e.offset}`);
      return `${e.buffer}[${at}${e.type.lanes === 1 ? '' : ` ..${e.type.lanes}`}]`;
    }
    case 'op': {
      const sign = infix[e.op];
      if (sign !== undefined && e.args.length === 2) return `(${e.args.map(printExpr).join(` ${sign} `)})`;
      return `${e.op}(${e.args.map(printExpr).join(', ')})`;
    }
    case 'splat':
      return `splat${e.type.lanes}(${printExpr(e.value)})`;
    case 'lanes':
      return `<${e.elements.map(printExpr).join(', ')}>`;
    case 'extract':
      return `${printExpr(e.value)}.${e.lane}`;
    case 'fold':
      return `fold_${e.op}(${printExpr(e.value)})`;
    case 'subgroup_fold':
      return `subgroup_${e.op}(${printExpr(e.value)})`;
    case 'shuffle':
      return `shuffle_${e.mode}(${printExpr(e.value)}, ${printExpr(e.lane)})`;
  }
}

function printBlock(body: readonly Stmt[], indent: string): string[] {
  return body.flatMap((s) => printStmt(s, indent));
}

function printStmt(s: Stmt, indent: string): string[] {
  const inner = `${indent}  `;
  switch (s.kind) {
    case 'for': {
      const binding = s.binding === 'serial' ? '' : `${s.binding} `;
      const step = s.step === 1 ? '' : ` by ${s.step}`;
      const head = `${indent}for ${binding}${s.index} in ${printExpr(s.from)} .. ${printExpr(s.to)}${step} {`;
      return [head, ...printBlock(s.body, inner), `${indent}}`];
    }
    case 'if': {
      const lines = [`${indent}if ${printExpr(s.condition)} {`, ...printBlock(s.then, inner)];
      if (s.otherwise.length > 0) lines.push(`${indent}} else {`, ...printBlock(s.otherwise, inner));
      return [...lines, `${indent}}`];
    }
    case 'let':
      return [`${indent}let ${s.name} = ${printExpr(s.value)}`];
    case 'var':
      return [`${indent}var ${s.name}: ${printType(s.type)} = ${printExpr(s.init)}`];
    case 'assign':
      return [`${indent}${s.name} = ${printExpr(s.value)}`];
    case 'store': {
      const lanes = s.value.type.lanes === 1 ? '' : ` ..${s.value.type.lanes}`;
      const at = s.indices.map(printExpr).join(', ') + (s.offset === 0 ? '' : ` + ${s.offset}`);
      return [`${indent}${s.buffer}[${at}${lanes}] = ${printExpr(s.value)}`];
    }
    case 'touch': {
      const at = s.indices.map(printExpr).join(', ') + (s.offset === 0 ? '' : ` + ${s.offset}`);
      return [`${indent}touch ${s.buffer}[${at}]`];
    }
    case 'barrier':
      return [`${indent}barrier ${s.scope}`];
    case 'check':
      return [`${indent}check ${printExpr(s.condition)} else fault ${s.fault}`];
    case 'mma':
      return [`${indent}mma ${s.accumulator} += ${s.a} . ${s.b} (${s.rows}x${s.columns}x${s.depth}, ${s.precision})`];
    case 'fragment': {
      if (s.buffer === null) return [`${indent}fragment ${s.fragment} = 0`];
      if (s.move === 'take') return [`${indent}take ${s.buffer} = ${s.fragment}`];
      const block = `${s.buffer}[${s.indices.map(printExpr).join(', ')} ..]`;
      return [`${indent}fragment ${s.move === 'load' ? `${s.fragment} = ${block}` : `${block} = ${s.fragment}`}`];
    }
    case 'comment':
      return [`${indent}// ${s.text}`];
  }
}

/** One statement on one line; of a loop or branch its head. */
export const printStatement = (s: Stmt): string => printStmt(s, '')[0] ?? '';

function printBuffer(b: KernelBuffer): string {
  const rowMajor = b.layout.every((d, i) => d.part === 'whole' && d.axis === i);
  const layout = rowMajor
    ? ''
    : ` packed [${b.layout.map((d) => (d.part === 'whole' ? `${d.axis}` : d.part === 'outer' ? `${d.axis}/${d.block}` : `${d.axis}%${d.block}`)).join(', ')}]`;
  return `  ${b.space} ${b.access} ${b.name}[${b.shape.map(Sizes.format).join(', ')}]: ${b.storage}${layout}`;
}

/** The whole kernel: signature, buffers, body. */
export function printKernel(kernel: Kernel): string {
  return [
    `kernel ${kernel.name}(${kernel.dims.join(', ')}) // ${kernel.label}`,
    ...(kernel.workgroup === undefined
      ? []
      : [`  workgroup of ${kernel.workgroup.subgroups} subgroups of ${kernel.workgroup.lanes} lanes`]),
    ...kernel.buffers.map(printBuffer),
    '{',
    ...printBlock(kernel.body, '  '),
    '}',
    '',
  ].join('\n');
}
