/**
 * What a text says, before any checking: the syntax tree of the layer language. The parser and the builder make it, the
 * printer writes it, the checker reads it. Names are not resolved and types are not known here.
 */
import type { ReduceOp, Source, Span, StorageType } from '../layer-ir.ts';

export interface Name {
  readonly text: string;
  readonly span: Span;
}

export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '//'
  | '%'
  | '^'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'and'
  | 'or';

export type ExprSyntax =
  /** Written without point or exponent a number is i32, else f32. Never negative: a sign is an operator. */
  | { readonly kind: 'number'; readonly value: number; readonly type: 'i32' | 'f32'; readonly span: Span }
  | { readonly kind: 'bool'; readonly value: boolean; readonly span: Span }
  /** A size, an option, an index, a node, a let or a parameter. */
  | { readonly kind: 'name'; readonly name: string; readonly span: Span }
  | { readonly kind: 'call'; readonly callee: Name; readonly args: readonly ExprSyntax[]; readonly span: Span }
  | { readonly kind: 'access'; readonly tensor: Name; readonly indices: readonly ExprSyntax[]; readonly span: Span }
  | { readonly kind: 'unary'; readonly op: '-' | 'not'; readonly operand: ExprSyntax; readonly span: Span }
  | {
      readonly kind: 'binary';
      readonly op: BinaryOperator;
      readonly left: ExprSyntax;
      readonly right: ExprSyntax;
      readonly span: Span;
    }
  | {
      readonly kind: 'if';
      readonly condition: ExprSyntax;
      readonly then: ExprSyntax;
      readonly otherwise: ExprSyntax;
      readonly span: Span;
    }
  | {
      readonly kind: 'reduce';
      readonly op: ReduceOp;
      readonly indices: readonly BinderSyntax[];
      readonly body: ExprSyntax;
      readonly span: Span;
    }
  | {
      readonly kind: 'descend';
      readonly node: Name;
      readonly init: ExprSyntax;
      readonly levels: ExprSyntax;
      readonly lets: readonly { readonly name: Name; readonly value: ExprSyntax; readonly span: Span }[];
      readonly yield: ExprSyntax | null;
      readonly next: ExprSyntax;
      readonly result: ExprSyntax | null;
      readonly span: Span;
    };

/** `i` or `i in SIZE`: an axis on the left of a definition, or an index of a reduction. */
export interface BinderSyntax {
  readonly name: Name;
  readonly size: ExprSyntax | null;
  readonly span: Span;
}

/** `x[T, D]: i32` or `b[H] = 0`. Inputs have no default. */
export interface DeclarationSyntax {
  readonly name: Name;
  readonly shape: readonly ExprSyntax[];
  readonly storage: StorageType;
  readonly default: ExprSyntax | null;
  readonly span: Span;
}

export type StatementSyntax =
  | { readonly kind: 'let'; readonly name: Name; readonly value: ExprSyntax; readonly span: Span }
  | { readonly kind: 'input' | 'weight'; readonly tensors: readonly DeclarationSyntax[]; readonly span: Span }
  | {
      readonly kind: 'define';
      readonly role: 'local' | 'output';
      readonly target: Name;
      readonly axes: readonly BinderSyntax[];
      readonly value: ExprSyntax;
      readonly span: Span;
    };

export type OptionValueSyntax =
  /** A number keeps the kind it was written with: a whole one makes an i32 option as long as it is given whole numbers. */
  | { readonly kind: 'number'; readonly value: number; readonly type: 'i32' | 'f32'; readonly span: Span }
  | { readonly kind: 'bool'; readonly value: boolean; readonly span: Span }
  | { readonly kind: 'function'; readonly name: string; readonly span: Span };

export interface OptionSyntax {
  readonly name: Name;
  readonly value: OptionValueSyntax;
  readonly span: Span;
}

export interface FunctionSyntax {
  readonly kind: 'function';
  readonly name: Name;
  readonly params: readonly Name[];
  readonly body: ExprSyntax;
  readonly span: Span;
}

export interface LayerSyntax {
  readonly kind: 'layer';
  readonly name: Name;
  readonly dims: readonly Name[];
  readonly options: readonly OptionSyntax[];
  readonly statements: readonly StatementSyntax[];
  readonly span: Span;
}

/** A file: functions and layers in the order written. */
export interface Module {
  readonly source: Source;
  readonly items: readonly (FunctionSyntax | LayerSyntax)[];
}

/** The layers of a module, in order. */
export const layersOf = (module: Module): readonly LayerSyntax[] => module.items.filter((i) => i.kind === 'layer');
/** The functions of a module, in order. */
export const functionsOf = (module: Module): readonly FunctionSyntax[] =>
  module.items.filter((i) => i.kind === 'function');

/** An `if` of the syntax tree. */
export const ifSyntax = (condition: ExprSyntax, then: ExprSyntax, otherwise: ExprSyntax, span: Span): ExprSyntax => ({
  kind: 'if',
  condition,
  then,
  otherwise,
  span,
});
