/** Reading and printing: precedence, separators, comments, spans, and that printed text reads back as the same tree. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DeclarationSyntax,
  DiagnosticError,
  type ExprSyntax,
  type Module,
  parseModule,
  printModule,
  standardLayerNames,
  standardSource,
} from '../src/index.ts';
import { withoutPlaces } from './support/front-end.ts';

/** Fully parenthesised text of a tree, independent of the printer. */
function shape(e: ExprSyntax): string {
  switch (e.kind) {
    case 'number':
      return `${e.value}${e.type === 'f32' ? 'f' : ''}`;
    case 'bool':
      return String(e.value);
    case 'name':
      return e.name;
    case 'call':
      return `${e.callee.text}(${e.args.map(shape).join(',')})`;
    case 'access':
      return `${e.tensor.text}[${e.indices.map(shape).join(',')}]`;
    case 'unary':
      return `(${e.op} ${shape(e.operand)})`;
    case 'binary':
      return `(${shape(e.left)} ${e.op} ${shape(e.right)})`;
    case 'if':
      return `(if ${shape(e.condition)} ${shape(e.then)} ${shape(e.otherwise)})`;
    case 'reduce':
      return `(${e.op} ${e.indices.map((i) => i.name.text).join(',')}: ${shape(e.body)})`;
    case 'descend':
      return `(descend ${e.node.text} ${shape(e.levels)} ${e.lets.map((l) => `${l.name.text}=${shape(l.value)}`).join(' ')})`;
  }
}

function read(expression: string): ExprSyntax {
  const item = parseModule(`fn f(a, b, c) = ${expression}\n`).items[0];
  if (item?.kind !== 'function') throw new Error('not a function');
  return item.body;
}

function lastDefinition(text: string): ExprSyntax {
  const item = parseModule(text).items[0];
  const statement = item?.kind === 'layer' ? item.statements.at(-1) : undefined;
  if (statement?.kind !== 'define') throw new Error('no definition at the end');
  return statement.value;
}

describe('precedence', () => {
  it.each([
    ['a + b * c', '(a + (b * c))'],
    ['a - b - c', '((a - b) - c)'],
    ['a / b * c', '((a / b) * c)'],
    ['a // b % c', '((a // b) % c)'],
    ['-a ^ 2', '(- (a ^ 2))'],
    ['2 ^ -a', '(2 ^ (- a))'],
    ['a ^ b ^ c', '(a ^ (b ^ c))'],
    ['- - a', '(- (- a))'],
    ['not a < b and c', '((not (a < b)) and c)'],
    ['a or b and c', '(a or (b and c))'],
    ['a + 1 < b * 2', '((a + 1) < (b * 2))'],
    ['if a then b else if c then a else b + 1', '(if a b (if c a (b + 1)))'],
    ['sum i: a * b + c', '((sum i: (a * b)) + c)'],
    ['a * sum i: b * c', '(a * (sum i: (b * c)))'],
    ['sum i, j in 3: -a * b', '(sum i,j: ((- a) * b))'],
    ['sum i: if a then b else c + 1', '(sum i: (if a b (c + 1)))'],
    ['max(a, b) + (max i: a)', '(max(a,b) + (max i: a))'],
    ['max i: a', '(max i: a)'],
    ['sum i: max j: a * b', '(sum i: (max j: (a * b)))'],
    ['a[b, c + 1] * a[]', '(a[b,(c + 1)] * a[])'],
    ['1 + 1.0 + 1e3 + 2.5e-3', '(((1 + 1f) + 1000f) + 0.0025f)'],
    ['true and not false', '(true and (not false))'],
    ['a == b or a != c', '((a == b) or (a != c))'],
  ])('%s', (text, expected) => {
    expect(shape(read(text))).toBe(expected);
  });
});

describe('layout', () => {
  it('reads a layer on one line as on many', () => {
    const many = 'layer f(T) {\n  let n = 2\n  input x[T, n]\n  h[t] = x[t, 0]\n    + x[t, 1]\n  output y[t] = h[t]\n}';
    const one = many.replaceAll('\n', ' ');
    const separated = many.replaceAll('\n  ', ';\n  ').replaceAll('{;', '{').replaceAll(';\n    +', ' +');
    expect(withoutPlaces(parseModule(one))).toEqual(withoutPlaces(parseModule(many)));
    expect(withoutPlaces(parseModule(separated))).toEqual(withoutPlaces(parseModule(many)));
  });

  it('takes // for a comment at the start of a line or after two spaces, and for a division otherwise', () => {
    expect(
      shape(lastDefinition('layer f(T) {\n  // a [ bracket and a × sign\n  output y[t in T] = t // 2  // halves\n}')),
    ).toBe('(t // 2)');
    expect(shape(lastDefinition('layer f(T) {\n  output y[t in T] = t//2\n//}\n}'))).toBe('(t // 2)');
    expect(shape(lastDefinition('layer f(T) {\n  output y[t in T] = t\t// a tab is enough\n}'))).toBe('t');
    expect(shape(lastDefinition('layer f(T) {\n  output y[t in T] = t /// three are always one\n}'))).toBe('t');
  });

  it('keeps the order of the steps of a descent and accepts a body on one line', () => {
    const text =
      'layer f(T) { input x[T] output y[t] = descend n = 0 for 3 { s = x[t] r = s + 1 yield r n <- 2 * n + 1 } }';
    expect(shape(lastDefinition(text))).toBe('(descend n 3 s=x[t] r=(s + 1))');
  });

  it('reads a byte order mark, CRLF and no final newline', () => {
    expect(parseModule('\uFEFFfn f(x) = x\r\nfn g(x) = x').items).toHaveLength(2);
  });

  it('puts spans on the text they cover', () => {
    const text = 'layer f(T) {\n  input x[T]  // the input\n  output y[t] = (x[t] + 1) * 2  // done\n}\n';
    const value = lastDefinition(text);
    expect(text.slice(value.span.start, value.span.end)).toBe('(x[t] + 1) * 2');
    const layer = parseModule(text).items[0];
    expect(text.slice(layer?.span.start, layer?.span.end)).toBe(text.trimEnd());
    const input = layer?.kind === 'layer' ? layer.statements[0] : undefined;
    expect(text.slice(input?.span.start, input?.span.end)).toBe('input x[T]');
  });
});

describe('printing', () => {
  it.each([...standardLayerNames, 'functions'])('%s reads back as the same tree', (name) => {
    const module = parseModule(standardSource(name));
    const printed = printModule(module);
    expect(withoutPlaces(parseModule(printed))).toEqual(withoutPlaces(module));
    expect(printModule(parseModule(printed))).toBe(printed);
  });

  const span = { source: 's', start: 0, end: 0 };
  const nameArb = fc.constantFrom('a', 'b', 'T', 'w1', 'sum_', 'iff');
  const name = nameArb.map((text) => ({ text, span }));
  const { expr } = fc.letrec<{ expr: ExprSyntax }>((tie) => {
    const sub = tie('expr');
    const binder = fc.record({ name, size: fc.option(sub, { nil: null }), span: fc.constant(span) });
    const list = fc.array(sub, { maxLength: 3 });
    return {
      expr: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(
          fc.nat(1000).map((value): ExprSyntax => ({ kind: 'number', value, type: 'i32', span })),
          fc
            .double({ min: 1e-30, max: 1e30, noNaN: true })
            .map((value): ExprSyntax => ({ kind: 'number', value, type: 'f32', span })),
          fc.boolean().map((value): ExprSyntax => ({ kind: 'bool', value, span })),
          nameArb.map((n): ExprSyntax => ({ kind: 'name', name: n, span })),
        ),
        fc.tuple(name, list).map(([callee, args]): ExprSyntax => ({ kind: 'call', callee, args, span })),
        fc.tuple(name, list).map(([tensor, indices]): ExprSyntax => ({ kind: 'access', tensor, indices, span })),
        fc
          .tuple(fc.constantFrom('-' as const, 'not' as const), sub)
          .map(([op, operand]): ExprSyntax => ({ kind: 'unary', op, operand, span })),
        fc
          .tuple(
            fc.constantFrom('+', '-', '*', '/', '//', '%', '^', 'and', 'or', '<', '==') as fc.Arbitrary<'+'>,
            sub,
            sub,
          )
          .map(([op, left, right]): ExprSyntax => ({ kind: 'binary', op, left, right, span })),
        fc
          .tuple(sub, sub, sub)
          .map(([condition, then, otherwise]): ExprSyntax => ({ kind: 'if', condition, then, otherwise, span })),
        fc
          .tuple(
            fc.constantFrom('sum', 'max', 'argmin') as fc.Arbitrary<'sum'>,
            fc.array(binder, { minLength: 1, maxLength: 2 }),
            sub,
          )
          .map(([op, indices, body]): ExprSyntax => ({ kind: 'reduce', op, indices, body, span })),
        fc
          .tuple(
            name,
            sub,
            sub,
            fc.array(fc.record({ name, value: sub, span: fc.constant(span) }), { maxLength: 2 }),
            fc.option(sub, { nil: null }),
            sub,
            fc.option(sub, { nil: null }),
          )
          .map(
            ([node, init, levels, lets, y, next, result]): ExprSyntax => ({
              kind: 'descend',
              node,
              init,
              levels,
              lets,
              yield: y,
              next,
              result,
              span,
            }),
          ),
      ),
    };
  });

  it('of any tree reads back as that tree', () => {
    fc.assert(
      fc.property(expr, (body) => {
        const items: Module['items'] = [{ kind: 'function', name: { text: 'f', span }, params: [], body, span }];
        const printed = printModule({ items });
        expect(withoutPlaces(parseModule(printed).items)).toEqual(withoutPlaces(items));
      }),
      { numRuns: 300 },
    );
  });

  it('of declarations keeps storage, defaults and options', () => {
    const text =
      'layer f(T, D; a = gelu, b = -2, c = 1.0, d = true, e = max) {\n  input x[T, D]: i8, i[]: f16\n  weight w[2 * D]: f16 = -1 / sqrt(D), v[D]: i32\n  output y[t in T, d] = x[t, d]\n}\n';
    expect(printModule(parseModule(text))).toBe(text);
    const layer = parseModule(text).items[0];
    const declared =
      layer?.kind === 'layer'
        ? layer.statements.flatMap((s): readonly DeclarationSyntax[] =>
            s.kind === 'input' || s.kind === 'weight' ? s.tensors : [],
          )
        : [];
    expect(declared.map((d) => d.storage)).toEqual(['i8', 'f16', 'f16', 'i32']);
  });
});

describe('garbage', () => {
  const words = [
    'layer',
    'fn',
    'sum',
    'descend',
    'for',
    'yield',
    'return',
    'if',
    'then',
    'else',
    'in',
    'f',
    'x',
    'T',
    '1',
    '2.5',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    ';',
    ':',
    '=',
    '<-',
    '+',
    '-',
    '*',
    '//',
    '^',
    '<',
    '\n',
    ' ',
    '%',
    'é',
    '.',
    'output',
    'input',
    'weight',
    'let',
  ];
  const survives = (text: string): void => {
    try {
      parseModule(text);
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      expect(error.diagnostics.length).toBeGreaterThan(0);
      expect(error.message).toContain('error[E');
    }
  };

  it('of any characters ends in a diagnostic', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 80 }), survives), { numRuns: 300 });
  });

  it('of words of the language ends in a diagnostic', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...words), { maxLength: 60 }).map((w) => w.join(' ')),
        survives,
      ),
      { numRuns: 300 },
    );
  });
});
