/**
 * What a check of one layer knows and collects. Problems are collected, not thrown: `fail` records one and gives up the
 * expression at hand, `attempt` goes on with the next, so that independent mistakes are reported together.
 */

import type { DiagnosticCode } from '../diagnostics/index.ts';
import { type Diagnostic, diagnostic, type Label } from '../diagnostics/index.ts';
import type { Expr, Span, StorageType, TensorRole } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import type { FunctionValue } from './functions.ts';

export type OptionValue =
  | { readonly kind: 'number'; readonly value: number; readonly type: 'i32' | 'f32' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'function'; readonly name: string; readonly value: FunctionValue };

export interface TensorInfo {
  readonly name: string;
  readonly role: TensorRole;
  readonly storage: StorageType;
  readonly shape: readonly Size[];
  /** The shape for people: as declared, and what that amounts to. */
  readonly shapeText: string;
  readonly span: Span;
  /** What a weight that is left out stands for. */
  readonly constant: Expr | null;
}

/** What a name of the layer means. */
export type Entry =
  | { readonly kind: 'size'; readonly size: Size; readonly what: 'dim' | 'let'; readonly span: Span }
  | { readonly kind: 'option'; readonly value: OptionValue; readonly span: Span }
  | { readonly kind: 'tensor'; readonly tensor: TensorInfo; readonly span: Span }
  /** Its definition has a problem that is reported already; whoever uses it stays silent. */
  | { readonly kind: 'broken'; readonly span: Span };

export interface Context {
  readonly entries: Map<string, Entry>;
  /** Names that the layer defines somewhere, for telling "unknown" from "too early". */
  readonly declared: ReadonlyMap<string, Span>;
  readonly problems: Diagnostic[];
  /** True when nothing need be bound: powers of unknown dims are opaque. */
  readonly generic: boolean;
  /** Index and local names of the statement at hand. */
  readonly statementNames: Set<string>;
  /** Binders of the statement at hand that nothing gives a range; reported unless the statement has another problem. */
  readonly rangeless: {
    readonly name: string;
    readonly what: string;
    readonly span: Span;
    readonly reported: boolean;
  }[];
  /** Indices of reductions of the statement at hand that have ended, for the message about a use after the end. */
  readonly ended: Map<string, Span>;
  /** The calls that are being inlined, outermost first. */
  readonly calls: { readonly key: string; readonly function: string; readonly span: Span }[];
  /** Names of the sources that something came from. */
  readonly sources: Set<string>;
  /** Expressions elaborated so far: inlining may not run away. */
  work: number;
}

const stop = new Error('a problem was reported');

/** Records a problem and gives up the expression at hand. */
export function fail(
  context: Context,
  code: DiagnosticCode,
  span: Span,
  message: string,
  more: { readonly labels?: readonly Label[]; readonly help?: string | null } = {},
): never {
  report(context, code, span, message, more);
  throw stop;
}

/** Records a problem. One that lies in a function also shows the call. */
export function report(
  context: Context,
  code: DiagnosticCode,
  span: Span,
  message: string,
  more: { readonly labels?: readonly Label[]; readonly help?: string | null } = {},
): void {
  const known = new Set((more.labels ?? []).map((l) => `${l.span.source} ${l.span.start}`));
  const calls = context.calls
    .filter((c) => !known.has(`${c.span.source} ${c.span.start}`))
    .slice(0, 3)
    .map((c): Label => ({ span: c.span, text: `in this call of \`${c.function}\`` }));
  context.problems.push(diagnostic(code, span, message, { ...more, labels: [...(more.labels ?? []), ...calls] }));
}

/** Gives up the expression at hand because of a problem that is reported already. */
export function silently(): never {
  throw stop;
}

/** The value, or null when a problem was reported on the way. */
export function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    if (error === stop) return null;
    throw error;
  }
}

/** Runs all, so that each reports its problems, then gives up if one had any. */
export function all<T, R>(items: readonly T[], run: (item: T, index: number) => R): readonly R[] {
  const results: R[] = [];
  let failed = false;
  for (const [i, item] of items.entries()) {
    const before = results.length;
    attempt(() => results.push(run(item, i)));
    failed ||= results.length === before;
  }
  if (failed) throw stop;
  return results;
}
