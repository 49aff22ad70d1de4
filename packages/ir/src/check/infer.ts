/**
 * Ranges of indices. An index that stands alone in a place of a tensor runs over that axis; all such places must agree.
 * The look is at the text of a statement, folded branches included, so that ranges do not depend on options.
 */
import type { Span } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';
import type { BinderSyntax, ExprSyntax } from '../syntax/ast.ts';
import { type Context, report, type TensorInfo } from './context.ts';

interface Evidence {
  readonly size: Size;
  readonly tensor: TensorInfo;
  readonly position: number;
  readonly span: Span;
}

interface Found {
  readonly evidence: Evidence[];
  /** It stands in a tensor whose shape is not known because of an earlier problem. */
  tainted: boolean;
}

export type Range = { readonly size: Size } | 'missing' | 'reported';

type Scope = ReadonlyMap<string, BinderSyntax | null>;

/** The range of every binder of a statement that has no `in`. Reports E302 where places disagree. */
export function inferRanges(
  context: Context,
  axes: readonly BinderSyntax[],
  value: ExprSyntax,
): ReadonlyMap<BinderSyntax, Range> {
  const found = new Map<BinderSyntax, Found>();
  const bind = (scope: Scope, binders: readonly BinderSyntax[]): Scope => {
    const inner = new Map(scope);
    for (const b of binders) {
      inner.set(b.name.text, b);
      if (b.size === null) found.set(b, { evidence: [], tainted: false });
    }
    return inner;
  };
  const hide = (scope: Scope, names: readonly string[]): Scope =>
    new Map([...scope, ...names.map((n) => [n, null] as const)]);

  const look = (e: ExprSyntax, scope: Scope): null => {
    switch (e.kind) {
      case 'number':
      case 'bool':
      case 'name':
        return null;
      case 'call':
        for (const a of e.args) look(a, scope);
        return null;
      case 'access': {
        const entry = context.entries.get(e.tensor.text);
        const tensor = entry?.kind === 'tensor' && entry.tensor.shape.length === e.indices.length ? entry.tensor : null;
        for (const [position, index] of e.indices.entries()) {
          const binder = index.kind === 'name' ? scope.get(index.name) : undefined;
          if (binder === undefined || binder === null) {
            look(index, scope);
            continue;
          }
          const place = found.get(binder);
          const size = tensor?.shape[position];
          if (place === undefined) continue;
          if (tensor === null || size === undefined) place.tainted = true;
          else place.evidence.push({ size, tensor, position, span: e.span });
        }
        return null;
      }
      case 'unary':
        return look(e.operand, scope);
      case 'binary':
        look(e.left, scope);
        return look(e.right, scope);
      case 'if':
        look(e.condition, scope);
        look(e.then, scope);
        return look(e.otherwise, scope);
      case 'reduce':
        return look(e.body, bind(scope, e.indices));
      case 'descend': {
        look(e.init, scope);
        const walk = hide(scope, [e.node.text]);
        const body = hide(
          walk,
          e.lets.map((l) => l.name.text),
        );
        for (const l of e.lets) look(l.value, body);
        if (e.yield !== null) look(e.yield, body);
        look(e.next, body);
        if (e.result !== null) look(e.result, walk);
        return null;
      }
    }
  };
  look(value, bind(new Map(), axes));
  return new Map(
    [...found].map(([binder, { evidence, tainted }]) => [binder, rangeOf(context, binder, evidence, tainted)]),
  );
}

function rangeOf(context: Context, binder: BinderSyntax, evidence: readonly Evidence[], tainted: boolean): Range {
  const first = evidence[0];
  if (first === undefined) return tainted ? 'reported' : 'missing';
  const other = evidence.find((e) => !Sizes.equal(e.size, first.size));
  if (other === undefined) return { size: first.size };
  const index = binder.name.text;
  const says = (e: Evidence): string =>
    `\`${e.tensor.name}${e.tensor.shapeText}\` gives \`${index}\` the size ${Sizes.format(e.size)}`;
  const declared = [first, other].filter((e, i) => i === 0 || e.tensor !== first.tensor);
  report(
    context,
    'E302',
    other.span,
    `\`${index}\` runs over ${Sizes.format(first.size)} in \`${first.tensor.name}\` but over ${Sizes.format(other.size)} in \`${other.tensor.name}\``,
    {
      labels: [
        { span: first.span, text: says(first) },
        { span: other.span, text: says(other) },
        ...declared.map((e) => ({ span: e.tensor.span, text: `\`${e.tensor.name}\` has shape ${e.tensor.shapeText}` })),
      ],
      help: `make the sizes equal, or say which one is meant: \`${index} in ${Sizes.format(first.size)}\``,
    },
  );
  return 'reported';
}
