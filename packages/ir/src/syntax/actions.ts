/** From ohm's concrete tree to ours: one action per rule, plus the checks that only need the text (numbers, chains). */
import type { IterationNode, Node, NonterminalNode, Semantics, TerminalNode } from 'ohm-js';
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { ReduceOp, Span, StorageType } from '../layer-ir.ts';
import {
  type BinaryOperator,
  type BinderSyntax,
  type DeclarationSyntax,
  type ExprSyntax,
  type FunctionSyntax,
  ifSyntax,
  type LayerSyntax,
  type Name,
  type OptionSyntax,
  type OptionValueSyntax,
  type StatementSyntax,
} from './ast.ts';

export interface BuildContext {
  /** The name of the source, for spans. */
  readonly source: string;
  readonly problems: Diagnostic[];
}

/** Operands in one chain `a + b + c …`, and levels of any nesting: trees deeper than this are not built. */
const longestChain = 400;
const largestF32 = 3.4028235677973366e38;
const smallestF32 = 7.006492321624085e-46;

const storages = ['f32', 'f16', 'i32', 'i8'] as const;
const isStorage = (text: string): text is StorageType => (storages as readonly string[]).includes(text);
/** What other languages call them. */
const elsewhere: ReadonlyMap<string, StorageType> = new Map([
  ['float', 'f32'],
  ['float32', 'f32'],
  ['half', 'f16'],
  ['float16', 'f16'],
  ['int', 'i32'],
  ['int32', 'i32'],
  ['int8', 'i8'],
]);

type Step =
  | { readonly kind: 'yield'; readonly value: ExprSyntax; readonly span: Span }
  | { readonly kind: 'next'; readonly name: Name; readonly value: ExprSyntax; readonly span: Span }
  | { readonly kind: 'let'; readonly name: Name; readonly value: ExprSyntax; readonly span: Span };

// ohm's nodes carry operations as untyped properties; these say which type each of ours has.
const run = (node: Node, operation: string): unknown => node[operation]();
const exprOf = (node: Node): ExprSyntax => run(node, 'expr') as ExprSyntax;
const nameOf = (node: Node): Name => run(node, 'identifier') as Name;
const binderOf = (node: Node): BinderSyntax => run(node, 'binder') as BinderSyntax;
const declarationOf = (node: Node): DeclarationSyntax => run(node, 'declaration') as DeclarationSyntax;
const statementOf = (node: Node): StatementSyntax => run(node, 'statement') as StatementSyntax;
const stepOf = (node: Node): Step => run(node, 'step') as Step;
const optionsOf = (node: Node): readonly OptionSyntax[] => run(node, 'options') as readonly OptionSyntax[];
const optionOf = (node: Node): OptionSyntax => run(node, 'option') as OptionSyntax;
const constantOf = (node: Node): OptionValueSyntax => run(node, 'constant') as OptionValueSyntax;
const itemOf = (node: Node): FunctionSyntax | LayerSyntax => run(node, 'item') as FunctionSyntax | LayerSyntax;
/** The items of a matched file. */
export const readItems = (root: object): readonly (FunctionSyntax | LayerSyntax)[] =>
  run(root as Node, 'module') as readonly (FunctionSyntax | LayerSyntax)[];
const list = (node: Node): readonly Node[] => node.asIteration().children;
const only = (node: Node): Node | undefined => node.children[0];

/** Gives the semantics its operations. `context` names the file being read and takes its problems. */
export function addActions(semantics: Semantics, context: { readonly current: BuildContext }): Semantics {
  const spanOf = (node: Node): Span => {
    const { startIdx, endIdx } = node.source.trimmed();
    return { source: context.current.source, start: startIdx, end: endIdx };
  };
  const report = (problem: Diagnostic): void => {
    context.current.problems.push(problem);
  };
  const nameAt = (node: Node): Name => ({ text: node.sourceString.trim(), span: spanOf(node) });
  const numberAt = (node: Node): { value: number; type: 'i32' | 'f32'; span: Span } => {
    const span = spanOf(node);
    const text = node.sourceString;
    const value = Number(text);
    const type = /^[0-9]+$/.test(text) ? 'i32' : 'f32';
    if (type === 'i32' && value > 2147483647) {
      report(
        diagnostic('E005', span, `${short(text)} does not fit i32`, { help: 'write it with a point to make it f32' }),
      );
      return { value: 0, type, span };
    }
    if (type === 'f32' && value >= largestF32) {
      report(
        diagnostic('E005', span, `${short(text)} is infinite in f32`, {
          help: 'the largest f32 is 3.4028234663852886e38',
        }),
      );
      return { value: 0, type, span };
    }
    if (type === 'f32' && value <= smallestF32 && /[1-9]/.test(text.replace(/[eE].*$/, ''))) {
      report(diagnostic('E005', span, `${short(text)} is zero in f32`, { help: 'the smallest f32 is 1.4e-45' }));
    }
    return { value, type, span };
  };

  const binary = (left: ExprSyntax, op: BinaryOperator, right: ExprSyntax): ExprSyntax => ({
    kind: 'binary',
    op,
    left,
    right,
    span: { source: left.span.source, start: left.span.start, end: right.span.end },
  });

  /** Left to right; a chain too long for a recursive walk is cut with a report. */
  const chain = (first: Node, operators: Node, operands: Node): ExprSyntax => {
    if (operands.children.length > longestChain) {
      report(
        diagnostic('E004', spanOf(first), `${operands.children.length + 1} operands in one expression`, {
          help: `split it: an expression holds up to ${longestChain} operands on a level`,
        }),
      );
      return exprOf(first);
    }
    return operands.children.reduce<ExprSyntax>(
      (left, operand, i) =>
        binary(left, (operators.children[i]?.sourceString.trim() ?? '+') as BinaryOperator, exprOf(operand)),
      exprOf(first),
    );
  };

  semantics.addOperation<readonly (FunctionSyntax | LayerSyntax)[]>('module', {
    Module: (items: IterationNode) => items.children.map(itemOf),
  });

  semantics.addOperation<FunctionSyntax | LayerSyntax>('item', {
    Item: (node: NonterminalNode) => itemOf(node),
    Function(this: NonterminalNode, _fn, name, _open, params, _close, _is, body) {
      return {
        kind: 'function',
        name: nameOf(name),
        params: list(params).map(nameOf),
        body: exprOf(body),
        span: spanOf(this),
      };
    },
    LayerDef(this: NonterminalNode, _layer, name, _open, dims, options, _close, _brace, statements, _end) {
      const given = only(options);
      return {
        kind: 'layer',
        name: nameOf(name),
        dims: list(dims).map(nameOf),
        options: given === undefined ? [] : optionsOf(given),
        statements: statements.children.map(statementOf),
        span: spanOf(this),
      };
    },
  });

  semantics.addOperation<readonly OptionSyntax[]>('options', {
    Options: (_semicolon: TerminalNode, options: Node) => list(options).map(optionOf),
  });
  semantics.addOperation<OptionSyntax>('option', {
    Option(this: NonterminalNode, name, _is, value) {
      return { name: nameOf(name), value: constantOf(value), span: spanOf(this) };
    },
  });
  semantics.addOperation<OptionValueSyntax>('constant', {
    Constant_number(this: NonterminalNode, minus, number) {
      const { value, type } = numberAt(number);
      return { kind: 'number', value: minus.children.length > 0 ? -value : value, type, span: spanOf(this) };
    },
    Constant_boolean(this: NonterminalNode, word) {
      return { kind: 'bool', value: word.sourceString === 'true', span: spanOf(this) };
    },
    Constant_function(this: NonterminalNode, name) {
      return { kind: 'function', name: name.sourceString, span: spanOf(this) };
    },
  });

  semantics.addOperation<StatementSyntax>('statement', {
    Statement: (body, _semicolon) => statementOf(body),
    Body: (node) => statementOf(node),
    Let(this: NonterminalNode, _let, name, _is, value) {
      return { kind: 'let', name: nameOf(name), value: exprOf(value), span: spanOf(this) };
    },
    Input(this: NonterminalNode, _input, tensors) {
      return { kind: 'input', tensors: list(tensors).map(declarationOf), span: spanOf(this) };
    },
    Weight(this: NonterminalNode, _weight, tensors) {
      return { kind: 'weight', tensors: list(tensors).map(declarationOf), span: spanOf(this) };
    },
    Define(this: NonterminalNode, output, target, _open, axes, _close, _is, value) {
      return {
        kind: 'define',
        role: output.children.length > 0 ? 'output' : 'local',
        target: nameOf(target),
        axes: list(axes).map(binderOf),
        value: exprOf(value),
        span: spanOf(this),
      };
    },
  });

  semantics.addOperation<DeclarationSyntax>('declaration', {
    Declaration(this: NonterminalNode, name, _open, shape, _close, storage) {
      const written = only(storage);
      const type = written === undefined ? null : nameOf(written);
      if (type !== null && !isStorage(type.text)) {
        const meant = elsewhere.get(type.text);
        const help = meant === undefined ? `storage types are ${storages.join(', ')}` : `did you mean \`${meant}\`?`;
        report(diagnostic('E414', type.span, `\`${type.text}\` is no storage type`, { help }));
      }
      return {
        name: nameOf(name),
        shape: list(shape).map(exprOf),
        storage: type !== null && isStorage(type.text) ? type.text : 'f32',
        default: null,
        span: spanOf(this),
      };
    },
    WeightDeclaration(this: NonterminalNode, declaration, value) {
      const given = only(value);
      return { ...declarationOf(declaration), default: given === undefined ? null : exprOf(given), span: spanOf(this) };
    },
  });

  semantics.addOperation<BinderSyntax>('binder', {
    Binder(this: NonterminalNode, name, range) {
      const given = only(range);
      return { name: nameOf(name), size: given === undefined ? null : exprOf(given), span: spanOf(this) };
    },
  });

  semantics.addOperation<Name>('identifier', {
    name(this: NonterminalNode, _first, _rest) {
      return nameAt(this);
    },
    calleeName(this: NonterminalNode, _word) {
      return nameAt(this);
    },
    Storage: (_colon, name) => nameOf(name),
  });

  semantics.addOperation<Step>('step', {
    Step: (body, _semicolon) => stepOf(body),
    StepBody_yield(this: NonterminalNode, _yield, value) {
      return { kind: 'yield', value: exprOf(value), span: spanOf(this) };
    },
    StepBody_next(this: NonterminalNode, name, _arrow, value) {
      return { kind: 'next', name: nameOf(name), value: exprOf(value), span: spanOf(this) };
    },
    StepBody_let(this: NonterminalNode, name, _is, value) {
      return { kind: 'let', name: nameOf(name), value: exprOf(value), span: spanOf(this) };
    },
  });

  /** The steps of a descent in order, checked: lets, at most one yield, and one `<-` that ends them. */
  const descendOf = (
    span: Span,
    head: Span,
    node: Name,
    init: ExprSyntax,
    levels: ExprSyntax,
    steps: readonly Step[],
    result: ExprSyntax | null,
  ): ExprSyntax => {
    const yields = steps.filter((s) => s.kind === 'yield');
    const nexts = steps.filter((s) => s.kind === 'next');
    const [first, second] = yields;
    if (first !== undefined && second !== undefined) {
      report(
        diagnostic('E007', second.span, 'a level yields once', {
          labels: [{ span: first.span, text: 'it already yields here' }],
          help: 'add the two: `yield a + b`',
        }),
      );
    }
    const next = nexts[0];
    const again = nexts[1];
    if (next === undefined) {
      report(
        diagnostic('E007', head, `the descent never says where \`${node.text}\` goes`, {
          help: `end the body with a step, e.g. \`${node.text} <- 2 * ${node.text} + 1 + (s > 0)\``,
        }),
      );
    } else if (again !== undefined) {
      report(
        diagnostic('E007', again.span, 'a level steps once', {
          labels: [{ span: next.span, text: 'it already steps here' }],
          help: `choose in one step: \`${node.text} <- if … then … else …\``,
        }),
      );
    } else {
      if (next.name.text !== node.text) {
        report(
          diagnostic('E007', next.name.span, `\`${next.name.text}\` is not the node of this descent`, {
            labels: [{ span: node.span, text: `the node is \`${node.text}\`` }],
            help: `write \`${node.text} <- …\``,
          }),
        );
      }
      const last = steps.at(-1);
      if (last !== undefined && last !== next) {
        report(
          diagnostic('E007', last.span, 'nothing follows the step to the next node', {
            labels: [{ span: next.span, text: 'the step' }],
            help: 'move it before the `<-`',
          }),
        );
      }
    }
    const lets = steps.flatMap((s) => (s.kind === 'let' ? [{ name: s.name, value: s.value, span: s.span }] : []));
    return {
      kind: 'descend',
      node,
      init,
      levels,
      lets,
      yield: first?.value ?? null,
      next: next?.value ?? init,
      result,
      span,
    };
  };

  semantics.addOperation<ExprSyntax>('expr', {
    Expr: (node) => exprOf(node),
    If(this: NonterminalNode, _if, condition, _then, then, _else, otherwise) {
      return ifSyntax(exprOf(condition), exprOf(then), exprOf(otherwise), spanOf(this));
    },
    Or: (first, operators, operands) => chain(first, operators, operands),
    And: (first, operators, operands) => chain(first, operators, operands),
    Not: (node) => exprOf(node),
    Not_not(this: NonterminalNode, _not, operand) {
      return { kind: 'unary', op: 'not', operand: exprOf(operand), span: spanOf(this) };
    },
    Compare(first, operators, operands) {
      const second = operators.children[1];
      if (second !== undefined) {
        report(diagnostic('E006', spanOf(second), 'comparisons do not chain', { help: 'join two: `a < b and b < c`' }));
      }
      return chain(first, operators, operands);
    },
    Add: (first, operators, operands) => chain(first, operators, operands),
    Mul: (first, operators, operands) => chain(first, operators, operands),
    Unary: (node) => exprOf(node),
    Unary_minus(this: NonterminalNode, _minus, operand) {
      return { kind: 'unary', op: '-', operand: exprOf(operand), span: spanOf(this) };
    },
    Power(base, _caret, exponent) {
      const given = only(exponent);
      return given === undefined ? exprOf(base) : binary(exprOf(base), '^', exprOf(given));
    },
    Primary: (node) => exprOf(node),
    Primary_parens(this: NonterminalNode, _open, inner, _close) {
      return { ...exprOf(inner), span: spanOf(this) };
    },
    Call(this: NonterminalNode, callee, _open, args, _close) {
      return { kind: 'call', callee: nameOf(callee), args: list(args).map(exprOf), span: spanOf(this) };
    },
    Access(this: NonterminalNode, tensor, _open, indices, _close) {
      return { kind: 'access', tensor: nameOf(tensor), indices: list(indices).map(exprOf), span: spanOf(this) };
    },
    Reduce(this: NonterminalNode, op, indices, _colon, body) {
      return {
        kind: 'reduce',
        op: op.sourceString.trim() as ReduceOp,
        indices: list(indices).map(binderOf),
        body: exprOf(body),
        span: spanOf(this),
      };
    },
    ReduceBody: (node) => exprOf(node),
    Descend(this: NonterminalNode, word, node, _is, init, _for, levels, _open, steps, _close, result) {
      const given = only(result);
      const returned = given === undefined ? null : exprOf(given);
      return descendOf(
        spanOf(this),
        spanOf(word),
        nameOf(node),
        exprOf(init),
        exprOf(levels),
        steps.children.map(stepOf),
        returned,
      );
    },
    Return: (_return, value) => exprOf(value),
    Default: (_is, value) => exprOf(value),
    Range: (_in, size) => exprOf(size),
    number(this: NonterminalNode, _whole, _point, _fraction, _exponent) {
      return { kind: 'number', ...numberAt(this) };
    },
    boolean(this: NonterminalNode, _word) {
      return { kind: 'bool', value: this.sourceString === 'true', span: spanOf(this) };
    },
    name(this: NonterminalNode, _first, _rest) {
      return { kind: 'name', name: this.sourceString, span: spanOf(this) };
    },
  });
  return semantics;
}

const short = (text: string): string => (text.length > 24 ? `${text.slice(0, 20)}…` : text);
