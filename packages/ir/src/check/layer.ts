/**
 * One layer of a module to Layer IR: binds dims and options, checks the statements in order, drops what no output needs,
 * and proves bounds. Shared by elaboration (dims bound, branches folded) and by the generic check.
 */

import { childrenOf } from '../children.ts';
import { type Diagnostic, suggest } from '../diagnostics/index.ts';
import type { Expr, LayerIR, Span, Statement, StorageType, TensorDecl } from '../layer-ir.ts';
import * as Sizes from '../size.ts';
import type { DeclarationSyntax, LayerSyntax, Name, StatementSyntax } from '../syntax/ast.ts';
import { printExpr } from '../syntax/print.ts';
import { proveBounds } from './bounds.ts';
import { attempt, type Context, type Entry, fail, report, silently, type TensorInfo } from './context.ts';
import { checkMeasure, type Env, elaborate } from './expressions.ts';
import type { FunctionTable } from './functions.ts';
import { bindIndices, settleRanges } from './indices.ts';
import { inferRanges } from './infer.ts';
import { toF32, toNumber } from './make.ts';
import { bindDims, bindOptions, type LayerArgs } from './params.ts';
import { extentOf, largestSize, listOf, sizeOf } from './size-expr.ts';

export interface CheckedLayer {
  /** Null when there are problems. */
  readonly layer: Omit<LayerIR, 'sources'> | null;
  readonly problems: readonly Diagnostic[];
  /** Names of the sources that the layer's expressions came from. */
  readonly sources: ReadonlySet<string>;
}

function namesOf(statement: StatementSyntax): readonly Name[] {
  switch (statement.kind) {
    case 'let':
      return [statement.name];
    case 'define':
      return [statement.target];
    case 'input':
    case 'weight':
      return statement.tensors.map((t) => t.name);
  }
}

/** Checks a layer. `generic` leaves unbound dims symbolic everywhere, also where elaboration needs a number. */
export function checkLayer(
  syntax: LayerSyntax,
  functions: FunctionTable,
  args: LayerArgs,
  generic: boolean,
): CheckedLayer {
  const declared = new Map<string, Span>();
  const context: Context = {
    entries: new Map(),
    declared,
    problems: [],
    generic,
    statementNames: new Set(),
    rangeless: [],
    ended: new Map(),
    calls: [],
    sources: new Set([syntax.span.source]),
    work: 0,
  };
  for (const name of [...syntax.dims, ...syntax.options.map((o) => o.name), ...syntax.statements.flatMap(namesOf)]) {
    if (!declared.has(name.text)) declared.set(name.text, name.span);
  }
  const dims = bindDims(context, syntax, args);
  const options = bindOptions(context, syntax, functions, args);
  const tensors: TensorDecl[] = [];
  const statements: Statement[] = [];
  checkWithout(context, syntax, args);
  // With wrong arguments everything below would complain about what they lack.
  if (context.problems.length > 0) return { layer: null, problems: context.problems, sources: context.sources };
  for (const statement of syntax.statements) {
    switch (statement.kind) {
      case 'let':
        define(context, statement.name, () => ({
          kind: 'size',
          size: sizeOf(context, statement.value),
          what: 'let',
          span: statement.name.span,
        }));
        break;
      case 'input':
      case 'weight':
        for (const tensor of statement.tensors) declare(context, functions, statement.kind, tensor, args, tensors);
        break;
      case 'define':
        checkDefinition(context, functions, statement, tensors, statements);
        break;
    }
  }
  const hasOutput = syntax.statements.some((s) => s.kind === 'define' && s.role === 'output');
  if (!hasOutput) {
    report(context, 'E307', syntax.name.span, `\`${syntax.name.text}\` computes nothing that anyone could see`, {
      help: 'mark a definition with `output`: `output y[t, o] = …`',
    });
  }
  if (context.problems.length > 0) return { layer: null, problems: context.problems, sources: context.sources };
  const kept = withoutUnused(tensors, statements);
  const proven = proveBounds(kept.statements, kept.tensors, context.problems);
  const layer = {
    name: syntax.name.text,
    dims: dims.runtime,
    fixed: { ...dims.fixed, ...options },
    tensors: kept.tensors,
    statements: proven,
  };
  return { layer: context.problems.length > 0 ? null : layer, problems: context.problems, sources: context.sources };
}

/** Enters a name, once. A definition with a problem is entered as broken. */
function define(context: Context, name: Name, make: () => Entry): void {
  const before = context.entries.get(name.text);
  if (before !== undefined) {
    report(context, 'E105', name.span, `\`${name.text}\` is defined twice`, {
      labels: [{ span: before.span, text: 'first here' }],
      help: 'give one of them another name',
    });
    return;
  }
  context.entries.set(name.text, attempt(make) ?? { kind: 'broken', span: name.span });
}

/** The shape as written, and its value where that differs: "[T, 2 * D] = [T, 8]". */
function shapeText(written: readonly string[], shape: readonly Sizes.Size[]): string {
  const first = `[${written.join(', ')}]`;
  const second = `[${shape.map(Sizes.format).join(', ')}]`;
  return first.replaceAll(' ', '') === second.replaceAll(' ', '') ? first : `${first} = ${second}`;
}

function checkElements(context: Context, name: Name, shape: readonly Sizes.Size[], text: string): void {
  // Runtime dims count as 1 here; a dim of 0 is no excuse for the others.
  const elements = shape.reduce((p, s) => p * Math.max(1, Sizes.constantOf(s) ?? 1), 1);
  if (elements > largestSize) {
    fail(context, 'E305', name.span, `\`${name.text}\` has ${elements} elements or more`, {
      labels: [{ span: name.span, text: `shape ${text}` }],
      help: `a tensor holds up to ${largestSize} elements`,
    });
  }
}

function declare(
  context: Context,
  functions: FunctionTable,
  role: 'input' | 'weight',
  syntax: DeclarationSyntax,
  args: LayerArgs,
  tensors: TensorDecl[],
): void {
  define(context, syntax.name, () => {
    const shape = syntax.shape.map((s) => extentOf(context, s));
    const text = shapeText(
      syntax.shape.map((s) => printExpr(s)),
      shape,
    );
    const runtime = [...new Set(shape.flatMap(Sizes.dimsOf))];
    if (role === 'weight' && runtime.length > 0 && !context.generic) {
      fail(
        context,
        'E206',
        syntax.name.span,
        `the shape of the weight \`${syntax.name.text}\` depends on ${listOf(runtime)}, which is not known at compile time`,
        {
          labels: runtime.flatMap((d) => {
            const entry = context.entries.get(d);
            return entry === undefined ? [] : [{ span: entry.span, text: `\`${d}\` has no value` }];
          }),
          help: `give ${listOf(runtime)} a value: \`dims: { ${runtime.map((d) => `${d}: 64`).join(', ')} }\``,
        },
      );
    }
    checkElements(context, syntax.name, shape, text);
    const storage = storageOf(context, syntax, args);
    const value = syntax.default === null ? null : defaultOf(context, functions, syntax, storage);
    const leftOut = args.without?.includes(syntax.name.text) === true;
    const tensor: TensorInfo = {
      name: syntax.name.text,
      role,
      storage,
      shape,
      shapeText: text,
      span: syntax.span,
      constant: leftOut ? value : null,
    };
    tensors.push({ name: tensor.name, role, storage, shape, span: syntax.span });
    return { kind: 'tensor', tensor, span: syntax.name.span };
  });
}

function storageOf(context: Context, syntax: DeclarationSyntax, args: LayerArgs): StorageType {
  const wanted = args.storage?.[syntax.name.text];
  if (wanted === undefined || wanted === syntax.storage) return syntax.storage;
  const reals: readonly StorageType[] = ['f32', 'f16'];
  if (!(reals.includes(wanted) && reals.includes(syntax.storage)) && !(wanted === 'i8' && syntax.storage === 'i32')) {
    fail(
      context,
      'E209',
      syntax.span,
      `\`${syntax.name.text}\` is ${syntax.storage} and cannot be stored as ${wanted}`,
      {
        help: 'f32 may be stored as f16, i32 as i8',
      },
    );
  }
  return wanted;
}

/** The value of a weight that is left out: made of numbers, sizes and options. */
function defaultOf(context: Context, functions: FunctionTable, syntax: DeclarationSyntax, storage: StorageType): Expr {
  const written = syntax.default;
  if (written === null) throw new TypeError('a weight without default');
  const before = context.problems.length;
  startStatement(context);
  const env: Env = { context, scope: new Map(), ranges: new Map(), functions, inFunction: false };
  const built = attempt(() => elaborate(env, written));
  settleRanges(context, before);
  const value = built ?? silently();
  const readsTensor = (e: Expr): boolean => e.kind === 'access' || childrenOf(e).some(readsTensor);
  if (readsTensor(value))
    fail(context, 'E411', written.span, `the default of \`${syntax.name.text}\` reads a tensor`, {
      help: 'a default is made of numbers, sizes and options',
    });
  if (storage === 'f32' || storage === 'f16') return toF32(value);
  const whole = toNumber(value);
  if (whole.type === 'i32') return whole;
  return fail(
    context,
    'E411',
    written.span,
    `the default of \`${syntax.name.text}\` is an f32, and the weight is ${storage}`,
    {
      help: 'write a whole number',
    },
  );
}

function startStatement(context: Context): void {
  context.statementNames.clear();
  context.rangeless.length = 0;
  context.ended.clear();
}

function checkWithout(context: Context, syntax: LayerSyntax, args: LayerArgs): void {
  const weights = syntax.statements.flatMap((s) => (s.kind === 'weight' ? s.tensors : []));
  for (const name of args.without ?? []) {
    const weight = weights.find((w) => w.name.text === name);
    if (weight === undefined) {
      report(context, 'E207', syntax.name.span, `\`${syntax.name.text}\` has no weight \`${name}\` to leave out`, {
        help: suggest(
          name,
          weights.map((w) => w.name.text),
          'weights',
        ),
      });
    } else if (weight.default === null) {
      report(context, 'E207', weight.span, `the weight \`${name}\` has no default, so it cannot be left out`, {
        help: `give it one: \`${name}[…] = 0\``,
      });
    }
  }
  for (const name of Object.keys(args.storage ?? {})) {
    const tensors = syntax.statements.flatMap((s) => (s.kind === 'weight' || s.kind === 'input' ? s.tensors : []));
    if (tensors.some((t) => t.name.text === name)) continue;
    report(context, 'E209', syntax.name.span, `\`${syntax.name.text}\` has no input or weight \`${name}\` to store`, {
      help: suggest(
        name,
        tensors.map((t) => t.name.text),
        'tensors',
      ),
    });
  }
}

function checkDefinition(
  context: Context,
  functions: FunctionTable,
  syntax: StatementSyntax & { readonly kind: 'define' },
  tensors: TensorDecl[],
  statements: Statement[],
): void {
  define(context, syntax.target, () => {
    const before = context.problems.length;
    startStatement(context);
    const ranges = inferRanges(context, syntax.axes, syntax.value);
    const outer: Env = { context, scope: new Map(), ranges, functions, inFunction: false };
    const built = attempt(() => {
      const { env, ranges: axes } = bindIndices(outer, syntax.axes, 'the axis');
      return { axes, value: toNumber(checkMeasure(env, elaborate(env, syntax.value), syntax.value.span)) };
    });
    settleRanges(context, before);
    const { axes, value } = built ?? silently();
    const shape = axes.map((a) => a.size);
    const text = `[${shape.map(Sizes.format).join(', ')}]`;
    checkElements(context, syntax.target, shape, text);
    const { text: name, span } = syntax.target;
    const storage = value.type === 'f32' ? 'f32' : 'i32';
    const { role } = syntax;
    tensors.push({ name, role, storage, shape, span });
    statements.push({ target: name, axes, value, span: syntax.span });
    const tensor: TensorInfo = { name, role, storage, shape, shapeText: text, span, constant: null };
    return { kind: 'tensor', tensor, span };
  });
}

/** Locals and weights that no output needs are left out; inputs stay, as they are the layer's interface. */
function withoutUnused(
  tensors: readonly TensorDecl[],
  statements: readonly Statement[],
): { readonly tensors: readonly TensorDecl[]; readonly statements: readonly Statement[] } {
  const needed = new Set(tensors.filter((t) => t.role === 'output' || t.role === 'input').map((t) => t.name));
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === 'access') needed.add(e.tensor);
    for (const child of childrenOf(e)) visit(child);
  };
  for (const statement of [...statements].reverse()) if (needed.has(statement.target)) visit(statement.value);
  const declaredFirst = [...tensors].sort((a, b) => rank(a) - rank(b));
  return {
    tensors: declaredFirst.filter((t) => needed.has(t.name)),
    statements: statements.filter((s) => needed.has(s.target)),
  };
}

const rank = (t: TensorDecl): number => (t.role === 'input' || t.role === 'weight' ? 0 : 1);
