/** Calls: primitives become ops, functions are inlined. */
import { suggest } from '../diagnostics/index.ts';
import type { Expr, Span } from '../layer-ir.ts';
import type { ExprSyntax } from '../syntax/ast.ts';
import { all, fail, silently } from './context.ts';
import { type Binding, checkMeasure, count, type Env, elaborate, keep } from './expressions.ts';
import { type FunctionValue, findFunction, functionNames } from './functions.ts';
import { op, toF32, toI32, toNumber, unify } from './make.ts';

type Call = ExprSyntax & { readonly kind: 'call' };

/** Functions that call functions, counted down to the primitives. The checker recurses through all of them. */
const deepestCalls = 100;

/** What other languages call the functions of this one. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ['log', 'ln'],
  ['pow', 'x ^ n'],
  ['fabs', 'abs'],
  ['float', 'f32'],
  ['int', 'i32'],
  ['maximum', 'max'],
  ['minimum', 'min'],
]);

/** What a callee means: an option that names a function, or a function in sight. */
function resolve(env: Env, e: Call): FunctionValue {
  const { context } = env;
  const { text, span } = e.callee;
  const bound = env.scope.get(text);
  const entry = env.inFunction ? undefined : context.entries.get(text);
  if (bound === undefined && entry?.kind === 'option' && entry.value.kind === 'function') return entry.value.value;
  if (bound === undefined && entry?.kind === 'broken') return silently();
  const found = findFunction(text, env.functions);
  if (bound === undefined && entry === undefined && found !== null) return found;
  const other = bound ?? entry;
  if (other !== undefined) {
    const is =
      bound !== undefined
        ? 'a value'
        : entry?.kind === 'tensor'
          ? 'a tensor'
          : entry?.kind === 'size'
            ? 'a size'
            : 'a plain option';
    fail(context, 'E106', span, `\`${text}\` is ${is}, not a function`, {
      labels: [{ span: other.span, text: 'declared here' }],
      help: entry?.kind === 'tensor' ? `tensors take brackets: \`${text}[…]\`` : `write \`${text} * (…)\` to multiply`,
    });
  }
  const later = context.declared.get(text);
  if (later !== undefined && !env.inFunction) {
    fail(context, 'E106', span, `\`${text}\` is not a function`, { labels: [{ span: later, text: 'declared here' }] });
  }
  const known = elsewhere.get(text);
  const options = [...context.entries]
    .filter(([, o]) => o.kind === 'option' && o.value.kind === 'function')
    .map(([n]) => n);
  const callable = [...(env.inFunction ? [] : options), ...functionNames(env.functions)];
  const help = known === undefined ? suggest(text, callable, 'functions') : `it is called \`${known}\` here`;
  return fail(context, 'E102', span, `no function is called \`${text}\``, {
    help: help ?? 'define it: `fn name(x) = …`',
  });
}

/** The value of a call. */
export function callFunction(env: Env, e: Call): Expr {
  const { context } = env;
  const callee = resolve(env, e);
  const arity = callee.kind === 'primitive' ? callee.primitive.arity : callee.syntax.params.length;
  const name = callee.kind === 'primitive' ? callee.name : callee.syntax.name.text;
  if (arity !== e.args.length) {
    const params = callee.kind === 'primitive' ? ['a', 'b'].slice(0, arity) : callee.syntax.params.map((p) => p.text);
    const where =
      callee.kind === 'primitive' ? [] : [{ span: callee.syntax.name.span, text: `\`${name}(${params.join(', ')})\`` }];
    fail(
      context,
      'E405',
      e.span,
      `\`${name}\` takes ${count(arity, 'argument', 'arguments')}, and ${e.args.length === 1 ? '1 is' : `${e.args.length} are`} given`,
      {
        labels: where,
        help:
          e.callee.text === name
            ? `call it as \`${name}(${params.join(', ')})\``
            : `the option \`${e.callee.text}\` is \`${name}\` here`,
      },
    );
  }
  const args = all(e.args, (a) => elaborate(env, a));
  return callee.kind === 'primitive'
    ? callPrimitive(env, callee.primitive.op, callee.primitive.takes, args, e.span)
    : inline(env, callee, args, e);
}

function callPrimitive(
  env: Env,
  name: Parameters<typeof op>[0],
  takes: 'f32' | 'number',
  args: readonly Expr[],
  span: Span,
): Expr {
  const [a, b] = args;
  if (a === undefined) return silently();
  if (name === 'to_f32') return toF32(a);
  if (name === 'to_i32') return toI32(a);
  const operands = takes === 'f32' ? args.map(toF32) : b === undefined ? [toNumber(a)] : unify(a, b);
  return keep(env, op(name, operands, operands[0]?.type ?? 'f32', span), span);
}

/** Replaces a call by the body of its function. */
function inline(env: Env, callee: FunctionValue & { readonly kind: 'function' }, args: readonly Expr[], e: Call): Expr {
  const { context } = env;
  const { syntax, home } = callee;
  const { text: name } = syntax.name;
  const key = `${syntax.span.source}:${syntax.span.start}`;
  if (context.calls.some((c) => c.key === key)) {
    fail(context, 'E107', e.callee.span, `\`${name}\` calls itself`, {
      labels: [{ span: syntax.name.span, text: `\`${name}\` is defined here` }],
      help: 'functions are inlined, so they cannot recur; a walk is `descend`, a sum is `sum`',
    });
  }
  if (context.calls.length >= deepestCalls) {
    fail(context, 'E413', e.callee.span, `more than ${deepestCalls} calls stand inside one another here`, {
      help: 'functions are inlined: call them one after another, in definitions of their own',
    });
  }
  const scope = new Map<string, Binding>(
    syntax.params.map((p, i) => [p.text, { kind: 'value', value: args[i] ?? silently(), span: p.span }]),
  );
  context.calls.push({ key, function: name, span: e.span });
  try {
    const body = elaborate({ ...env, scope, functions: home, inFunction: true, ranges: new Map() }, syntax.body);
    return checkMeasure(env, body, e.span);
  } finally {
    context.calls.pop();
  }
}
