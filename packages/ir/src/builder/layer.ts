/** Layers, functions and modules as TypeScript calls, for people who generate layers. */
import type { StorageType } from '../layer-ir.ts';
import type {
  DeclarationSyntax,
  ExprSyntax,
  FunctionSyntax,
  LayerSyntax,
  Module,
  OptionSyntax,
  OptionValueSyntax,
  StatementSyntax,
} from '../syntax/ast.ts';
import { parseModule } from '../syntax/parse.ts';
import { printModule } from '../syntax/print.ts';
import { binder, expr, type IndexArgs, type IndexSpec, nameOf, nowhere, type Operand, withIndices } from './expr.ts';

/** A tensor in sight: call it with one index per axis. */
export type TensorHandle = (...indices: readonly Operand[]) => ExprSyntax;

/** An option that names a function. */
export interface FunctionOption {
  readonly function: string;
}

/** The default of a function-valued option. */
export const fn = (name: string): FunctionOption => ({ function: name });

export interface WeightOptions {
  /** What the weight is when it is left out; made of numbers, sizes and options. */
  readonly default?: Operand;
  readonly storage?: StorageType;
}

/** `name[axes] = value`; the value is built from one expression per axis. */
export type Define = <const I extends readonly IndexSpec[]>(
  name: string,
  axes: I,
  value: (...axes: IndexArgs<I>) => Operand,
) => TensorHandle;

/** Statements of a layer, in order. */
export interface LayerBuilder {
  /** `let name = value`; the result names the size. */
  readonly let: (name: string, value: Operand) => ExprSyntax;
  readonly input: (name: string, shape: readonly Operand[], storage?: StorageType) => TensorHandle;
  readonly weight: (name: string, shape: readonly Operand[], options?: WeightOptions) => TensorHandle;
  readonly define: Define;
  readonly output: Define;
}

export interface LayerHead {
  readonly dims: readonly string[];
  readonly options?: Readonly<Record<string, number | boolean | FunctionOption>>;
}

function optionValue(value: number | boolean | FunctionOption): OptionValueSyntax {
  if (typeof value === 'boolean') return { kind: 'bool', value, span: nowhere };
  if (typeof value !== 'number')
    return { kind: 'function', name: nameOf(value.function, ['max', 'min']).text, span: nowhere };
  const written = expr(Math.abs(value));
  return { kind: 'number', value, type: written.kind === 'number' ? written.type : 'f32', span: nowhere };
}

/**
 * A layer. The result is put into a file with `module`.
 *
 * @throws DiagnosticError for names that the language does not have; everything else is found by the checker
 */
export function layer(name: string, head: LayerHead, body: (b: LayerBuilder) => void): LayerSyntax {
  const statements: StatementSyntax[] = [];
  const handle = (tensor: string): TensorHandle => {
    const name = nameOf(tensor);
    return (...indices) => ({ kind: 'access', tensor: name, indices: indices.map(expr), span: nowhere });
  };
  const declare = (
    kind: 'input' | 'weight',
    tensor: string,
    shape: readonly Operand[],
    options: WeightOptions,
  ): TensorHandle => {
    const declaration: DeclarationSyntax = {
      name: nameOf(tensor),
      shape: shape.map(expr),
      storage: options.storage ?? 'f32',
      default: options.default === undefined ? null : expr(options.default),
      span: nowhere,
    };
    statements.push({ kind, tensors: [declaration], span: nowhere });
    return handle(tensor);
  };
  const define =
    (role: 'local' | 'output'): Define =>
    (target, axes, value) => {
      const built = withIndices(axes, value);
      statements.push({
        kind: 'define',
        role,
        target: nameOf(target),
        axes: axes.map(binder),
        value: built,
        span: nowhere,
      });
      return handle(target);
    };
  body({
    let: (text, value) => {
      statements.push({ kind: 'let', name: nameOf(text), value: expr(value), span: nowhere });
      return expr(text);
    },
    input: (tensor, shape, storage = 'f32') => declare('input', tensor, shape, { storage }),
    weight: (tensor, shape, options = {}) => declare('weight', tensor, shape, options),
    define: define('local'),
    output: define('output'),
  });
  const options = Object.entries(head.options ?? {}).map(
    ([option, value]): OptionSyntax => ({ name: nameOf(option), value: optionValue(value), span: nowhere }),
  );
  return {
    kind: 'layer',
    name: nameOf(name),
    dims: head.dims.map((d) => nameOf(d)),
    options,
    statements,
    span: nowhere,
  };
}

/** `fn name(params) = body`. */
export const defineFunction = <const P extends readonly string[]>(
  name: string,
  params: P,
  body: (...params: IndexArgs<P>) => Operand,
): FunctionSyntax => ({
  kind: 'function',
  name: nameOf(name),
  params: params.map((p) => nameOf(p)),
  body: withIndices(params, body),
  span: nowhere,
});

/**
 * A module of built layers and functions. Its source is the canonical text, and all places point into that text, so that
 * diagnostics about built layers read like those about written ones.
 *
 * @throws DiagnosticError when the text nests too deeply to be read
 */
export const module = (items: readonly (FunctionSyntax | LayerSyntax)[], name = 'builder'): Module =>
  parseModule(printModule({ items }), name);
