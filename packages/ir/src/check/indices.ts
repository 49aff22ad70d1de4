/**
 * Indices: axes of definitions and indices of reductions. They get ranges, names that are unique in their statement, and
 * the reductions over them are built here.
 */
import type { Expr, IndexRange, Span } from '../layer-ir.ts';
import type { BinderSyntax, ExprSyntax } from '../syntax/ast.ts';
import { printExpr } from '../syntax/print.ts';
import { all, type Context, fail, report, silently } from './context.ts';
import { clip, type Env, elaborate } from './expressions.ts';
import { asSize } from './make.ts';
import { extentOf } from './size-expr.ts';

/** A name for an index or local that nothing else in the statement has. */
export function uniqueName(context: Context, wanted: string): string {
  const taken = (name: string): boolean => context.statementNames.has(name) || context.declared.has(name);
  let name = wanted;
  for (let i = 2; taken(name); i++) name = `${wanted}_${i}`;
  context.statementNames.add(name);
  return name;
}

/** Reports E108 when a name cannot be bound here because it means something else already. */
export function checkFree(env: Env, name: string, span: Span, what: string): void {
  const bound = env.scope.get(name);
  const entry = env.inFunction ? undefined : env.context.entries.get(name);
  const other = bound ?? (entry?.kind === 'size' || entry?.kind === 'option' ? entry : undefined);
  if (other === undefined) return;
  fail(env.context, 'E108', span, `${what} \`${name}\` has a name that means something else here`, {
    labels: [{ span: other.span, text: `\`${name}\` is in use since here` }],
    help: 'give it a name of its own',
  });
}

/** The range of a binder: its own `in`, or what its statement says about it. */
function rangeOf(env: Env, binder: BinderSyntax, what: string): IndexRange['size'] {
  const { context } = env;
  const name = binder.name.text;
  if (binder.size !== null) {
    if (env.inFunction) {
      const constant = elaborate(env, binder.size);
      const size = asSize(constant);
      if (size !== null) return size;
      fail(context, 'E306', binder.size.span, `\`${clip(printExpr(binder.size))}\` is not a size`);
    }
    return extentOf(context, binder.size);
  }
  const range = env.ranges.get(binder);
  if (range !== undefined && typeof range !== 'string') return range.size;
  context.rangeless.push({ name, what, span: binder.span, reported: range === 'reported' });
  return [];
}

/**
 * Ends a statement: an index without a range is a mistake of its own only if nothing else is wrong, for most often it
 * lacks a range because the access that should give it one is misspelt.
 */
export function settleRanges(context: Context, problemsBefore: number): void {
  const { rangeless, problems } = context;
  if (rangeless.length === 0) return;
  const missing = rangeless.filter((r) => !r.reported);
  if (problems.length === problemsBefore) {
    for (const { name, what, span } of missing) {
      report(context, 'E303', span, `nothing says how far ${what} \`${name}\` runs`, {
        help: `say it: \`${name} in SIZE\`; a range is found only where the index stands alone, as in \`x[${name}]\``,
      });
    }
  }
  silently();
}

/** Binds indices: checks their names, settles their ranges, renames them. */
export function bindIndices(
  env: Env,
  binders: readonly BinderSyntax[],
  what: string,
): { readonly env: Env; readonly ranges: readonly IndexRange[] } {
  const scope = new Map(env.scope);
  const ranges = all(binders, (binder, i): IndexRange => {
    const name = binder.name.text;
    const twin = binders.findIndex((b) => b.name.text === name);
    if (twin < i) {
      fail(env.context, 'E108', binder.span, `the index \`${name}\` stands here twice`, {
        labels: [{ span: binders[twin]?.span ?? binder.span, text: 'first here' }],
        help: 'give each axis an index of its own',
      });
    }
    checkFree(env, name, binder.name.span, 'the index');
    const size = rangeOf(env, binder, what);
    const unique = uniqueName(env.context, name);
    scope.set(name, { kind: 'index', name: unique, span: binder.span });
    return { name: unique, size, span: binder.span };
  });
  return { env: { ...env, scope }, ranges };
}

/** A reduction; its indices end with its body, which is one product. */
export function elaborateReduce(env: Env, e: ExprSyntax & { readonly kind: 'reduce' }): Expr {
  const { context } = env;
  const chooses = e.op === 'argmax' || e.op === 'argmin';
  if (chooses && e.indices.length > 1) {
    fail(context, 'E308', e.span, `\`${e.op}\` gives the value of one index, and ${e.indices.length} are named`, {
      help: 'run over one index in N * M and take it apart with // and %',
    });
  }
  const bound = bindIndices(env, e.indices, 'the index');
  const body = elaborate(bound.env, e.body);
  for (const b of e.indices) context.ended.set(b.name.text, e.span);
  if (body.type === 'bool') {
    fail(context, 'E402', e.body.span, `\`${e.op}\` runs over numbers, and \`${clip(printExpr(e.body))}\` is a bool`, {
      help: `count with \`i32(${clip(printExpr(e.body))})\`; for floats write \`if … then … else …\``,
    });
  }
  const type = chooses ? 'i32' : body.type;
  return { kind: 'reduce', op: e.op, indices: bound.ranges, body, type, span: e.span };
}
