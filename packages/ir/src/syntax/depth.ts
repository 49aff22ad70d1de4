/** How deep syntax trees nest. Every later walk recurses, so trees that are too deep are refused when they are read. */
import type { Span } from '../layer-ir.ts';
import type { ExprSyntax, Module } from './ast.ts';

/** Deepest nesting of expressions; long sums count, as they nest to the left. */
export const deepestExpression = 500;

/** The parts of an expression. */
function partsOf(e: ExprSyntax): readonly ExprSyntax[] {
  switch (e.kind) {
    case 'number':
    case 'bool':
    case 'name':
      return [];
    case 'call':
      return e.args;
    case 'access':
      return e.indices;
    case 'unary':
      return [e.operand];
    case 'binary':
      return [e.left, e.right];
    case 'if':
      return [e.condition, e.then, e.otherwise];
    case 'reduce':
      return [e.body, ...e.indices.flatMap((i) => (i.size === null ? [] : [i.size]))];
    case 'descend': {
      const ends = [e.yield, e.result].filter((x) => x !== null);
      return [e.init, e.levels, e.next, ...ends, ...e.lets.map((l) => l.value)];
    }
  }
}

/** Where an expression nests deeper than the limit, or null. Uses no stack of its own. */
export function tooDeep(items: Module['items']): Span | null {
  const roots = items.flatMap((item): readonly ExprSyntax[] => {
    if (item.kind === 'function') return [item.body];
    return item.statements.flatMap((s) => {
      if (s.kind === 'let') return [s.value];
      if (s.kind === 'define') return [s.value, ...s.axes.flatMap((a) => (a.size === null ? [] : [a.size]))];
      return s.tensors.flatMap((t) => [...t.shape, ...(t.default === null ? [] : [t.default])]);
    });
  });
  const open = roots.map((e) => ({ e, depth: 1 }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { e, depth } = next;
    if (depth > deepestExpression) return e.span;
    for (const part of partsOf(e)) open.push({ e: part, depth: depth + 1 });
  }
  return null;
}
