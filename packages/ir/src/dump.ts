/**
 * Layer IR as text for people: what is left of a layer after checking, with every cast, inlined function and range. An
 * index that is checked at run time carries a `?`.
 */
import type { Expr, IndexRange, LayerIR, ScalarOp, TensorDecl } from './layer-ir.ts';
import * as Sizes from './size.ts';

const infix: Partial<Record<ScalarOp, string>> = {
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
};

const range = (i: IndexRange): string => `${i.name} in ${Sizes.format(i.size)}`;

function dumpLiteral(e: Expr & { readonly kind: 'literal' }): string {
  if (e.type === 'bool') return e.value === 0 ? 'false' : 'true';
  const text = Object.is(e.value, -0) ? '-0' : String(e.value);
  return e.type === 'f32' && /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
}

function dumpExpr(e: Expr, indent: string): string {
  const sub = (inner: Expr): string => dumpExpr(inner, indent);
  switch (e.kind) {
    case 'literal':
      return dumpLiteral(e);
    case 'index':
    case 'local':
      return e.name;
    case 'size':
      return `size(${Sizes.format(e.size)})`;
    case 'access':
      return `${e.tensor}[${e.indices.map((i, n) => `${sub(i)}${e.inBounds[n] === true ? '' : '?'}`).join(', ')}]`;
    case 'op': {
      const sign = infix[e.op];
      return sign === undefined ? `${e.op}(${e.args.map(sub).join(', ')})` : `(${e.args.map(sub).join(` ${sign} `)})`;
    }
    case 'select':
      return `(if ${sub(e.condition)} then ${sub(e.then)} else ${sub(e.otherwise)})`;
    case 'reduce':
      return `(${e.op} ${e.indices.map(range).join(', ')}: ${sub(e.body)})`;
    case 'descend': {
      const inner = `${indent}  `;
      const at = (part: Expr): string => dumpExpr(part, inner);
      const steps = [
        ...e.lets.map((l) => `${l.name}: ${l.value.type} = ${at(l.value)}`),
        ...(e.yield === null ? [] : [`yield ${at(e.yield)}`]),
        `${e.node} <- ${at(e.next)}`,
      ];
      const head = `descend ${e.node} = ${sub(e.init)} for ${Sizes.format(e.levels)}`;
      const trace =
        e.trace === null ? '' : ` trace ${e.trace.nodes}, ${e.trace.scores}[${e.trace.indices.map(range).join(', ')}]`;
      const end = e.result === null ? '' : ` return ${sub(e.result)}`;
      return `(${head}${trace} {\n${steps.map((s) => `${inner}${s}\n`).join('')}${indent}}${end})`;
    }
  }
}

const declare = (t: TensorDecl): string =>
  `  ${t.role.padEnd(6)} ${t.name}: ${t.storage}[${t.shape.map(Sizes.format).join(', ')}]\n`;

/** The text of a checked layer. Deterministic; meant for reading and snapshots, not for parsing. */
export function dumpLayerIR(ir: LayerIR): string {
  const fixed = Object.entries(ir.fixed).map(([name, value]) => `${name} = ${value}`);
  const head = `layer ${ir.name}(${ir.dims.join(', ')})${fixed.length > 0 ? ` with ${fixed.join(', ')}` : ''}\n`;
  const statements = ir.statements.map(
    (s) => `  ${s.target}[${s.axes.map(range).join(', ')}]: ${s.value.type} =\n    ${dumpExpr(s.value, '    ')}\n`,
  );
  return `${head}${ir.tensors.map(declare).join('')}${statements.join('')}`;
}
