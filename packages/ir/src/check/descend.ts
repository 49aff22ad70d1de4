/** Elaboration of `descend`. */
import type { Expr, Let } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';
import type { ExprSyntax } from '../syntax/ast.ts';
import { printExpr } from '../syntax/print.ts';
import { attempt, fail, report, silently } from './context.ts';
import { type Binding, clip, type Env, elaborate, typeText } from './expressions.ts';
import { checkFree, uniqueName } from './indices.ts';
import { asSize, toNumber } from './make.ts';
import { extentOf, listOf } from './size-expr.ts';

/** Longest walk; a tree of 31 levels has more nodes than an i32 can name, the rest is for chains. */
const mostLevels = 65_536;

type DescendSyntax = ExprSyntax & { readonly kind: 'descend' };

function levelsOf(env: Env, e: DescendSyntax): Size {
  const { context } = env;
  const inFunction = env.inFunction ? asSize(elaborate(env, e.levels)) : null;
  if (env.inFunction && inFunction === null)
    fail(context, 'E306', e.levels.span, `\`${printExpr(e.levels)}\` is not a size`);
  const levels = inFunction ?? extentOf(context, e.levels);
  const value = Sizes.constantOf(levels);
  if (value === null && !context.generic) {
    const dims = listOf(Sizes.dimsOf(levels));
    fail(
      context,
      'E208',
      e.levels.span,
      `the number of levels depends on ${dims}, which is not known at compile time`,
      {
        help: `give ${dims} a value`,
      },
    );
  }
  if (value !== null && value > mostLevels)
    fail(context, 'E305', e.levels.span, `${value} levels; a walk has at most ${mostLevels}`, {
      help: 'a tree of so many nodes has far fewer levels: its depth is meant',
    });
  return levels;
}

/** An i32 for the node, or E409. */
function nodeValue(env: Env, value: Expr, e: ExprSyntax, what: string): Expr {
  const number = toNumber(value);
  if (number.type === 'i32') return number;
  return fail(env.context, 'E409', e.span, `${what} is ${typeText(value)}, and a node is an i32`, {
    help: `convert it: \`i32(${clip(printExpr(e))})\``,
  });
}

/** A descent: the walk's node and lets become locals with names of their own. */
export function elaborateDescend(env: Env, e: DescendSyntax): Expr {
  const { context } = env;
  if (e.yield === null && e.result === null) {
    report(context, 'E410', e.node.span, 'this descent has no value', {
      help: '`yield …` in the body adds up what the levels give; `return …` after it gives what the last node stands for',
    });
  }
  if (e.yield !== null && e.result !== null) {
    report(context, 'E410', e.result.span, 'this descent both yields and returns', {
      labels: [{ span: e.yield.span, text: 'it yields here' }],
      help: 'keep one; two values are two descents',
    });
  }
  const levels = attempt(() => levelsOf(env, e));
  const init = attempt(() => nodeValue(env, elaborate(env, e.init), e.init, 'the first node'));
  checkFree(env, e.node.text, e.node.span, 'the node');
  const node = uniqueName(context, e.node.text);
  const nodeBinding: Binding = { kind: 'local', name: node, type: 'i32', span: e.node.span };
  const scope = new Map(env.scope).set(e.node.text, nodeBinding);
  const after = new Map(scope);
  const inner: Env = { ...env, scope };
  const lets: Let[] = [];
  let failed = levels === null || init === null;
  for (const l of e.lets) {
    const value = attempt(() => {
      checkFree(inner, l.name.text, l.name.span, 'the local');
      return elaborate(inner, l.value);
    });
    if (value === null) {
      // Without this let every later step would complain about it.
      return silently();
    }
    const name = uniqueName(context, l.name.text);
    lets.push({ name, value, span: l.span });
    scope.set(l.name.text, { kind: 'local', name, type: value.type, span: l.name.span });
    after.set(l.name.text, { kind: 'gone', span: l.name.span });
  }
  const yielded =
    e.yield === null ? null : attempt(() => (e.yield === null ? silently() : toNumber(elaborate(inner, e.yield))));
  failed ||= e.yield !== null && yielded === null;
  const next = attempt(() => nodeValue(inner, elaborate(inner, e.next), e.next, 'the next node'));
  const result =
    e.result === null
      ? null
      : attempt(() => (e.result === null ? silently() : toNumber(elaborate({ ...env, scope: after }, e.result))));
  failed ||= e.result !== null && result === null;
  const value = result ?? yielded;
  if (
    failed ||
    value === null ||
    next === null ||
    levels === null ||
    init === null ||
    (yielded === null) === (result === null)
  )
    return silently();
  const type = value.type === 'f32' ? 'f32' : 'i32';
  return { kind: 'descend', node, init, levels, lets, yield: yielded, next, result, trace: null, type, span: e.span };
}
