/** The builder makes the module that the text makes. */
import { describe, expect, it } from 'vitest';
import {
  build,
  checkModule,
  DiagnosticError,
  dumpLayerIR,
  elaborate,
  layerFromText,
  parseModule,
  printModule,
  standardSource,
} from '../src/index.ts';
import { withoutPlaces } from './support/front-end.ts';

const { add, call, defineFunction, descend, fn, layer, module, mul, sub, sum } = build;

const fff = layer(
  'fff',
  { dims: ['T', 'D', 'O', 'trees', 'depth'], options: { activation: fn('gelu'), rule: fn('gt') } },
  (b) => {
    const nodes = b.let('nodes', sub(build.pow(2, add('depth', 1)), 1));
    const x = b.input('x', ['T', 'D']);
    const w1 = b.weight('w1', ['trees', nodes, 'D']);
    const b1 = b.weight('b1', ['trees', nodes], { default: 0 });
    const w2 = b.weight('w2', ['trees', nodes, 'O']);
    const threshold = b.weight('threshold', ['trees', nodes], { default: 0 });
    b.output('y', ['t', 'o'], (t, o) =>
      sum(['k'], (k) =>
        descend('n', { from: 0, levels: add('depth', 1) }, (n, walk) => {
          const s = walk.let(
            's',
            add(
              sum(['i'], (i) => mul(x(t, i), w1(k, n, i))),
              b1(k, n),
            ),
          );
          return {
            yield: mul(call('activation', s), w2(k, n, o)),
            next: add(mul(2, n), 1, call('rule', s, threshold(k, n))),
          };
        }),
      ),
    );
  },
);

describe('the builder', () => {
  it('builds the tree of the standard library', () => {
    const args = { dims: { D: 3, O: 2, trees: 2, depth: 2 } };
    const built = elaborate(module([fff]), args);
    const written = layerFromText(standardSource('fff'), args);
    expect(dumpLayerIR(built)).toBe(dumpLayerIR(written));
    expect(withoutPlaces(built)).toEqual(withoutPlaces(written));
  });

  it('prints text that reads back as what was built', () => {
    const printed = printModule({ items: [fff] });
    expect(withoutPlaces(parseModule(printed).items)).toEqual(withoutPlaces([fff]));
    expect(checkModule(printed)).toEqual([]);
  });

  it('builds every construct', () => {
    const soft = defineFunction('soft', ['x'], (x) => build.ln(add(1, build.exp(build.neg(build.abs(x))))));
    const all = layer(
      'all',
      { dims: ['T', 'N'], options: { scale: -0.5, k: 3, on: true, act: fn('soft'), pick: fn('max') } },
      (b) => {
        const x = b.input('x', ['T', 'N']);
        const id = b.input('id', ['T'], 'i32');
        const w = b.weight('w', ['N'], { default: build.div(1, build.sqrt('N')), storage: 'f16' });
        const best = b.define('best', ['t'], (t) => build.argmax(['i'], (i) => x(t, i)));
        const c = b.define('c', [], () => build.prod([{ name: 'i', in: 'N' }], (i) => w(i)));
        b.output('y', ['t', { name: 'j', in: 'N' }], (t, j) =>
          build.select(
            build.and(build.lt(id(t), 'N'), build.not(build.eq(best(t), j)), 'on'),
            add(
              mul('scale', c()),
              call(
                'act',
                build.maxOver(['i'], (i) => x(t, i)),
              ),
              call('pick', 1.5, build.number(2, 'f32')),
            ),
            build.f32(build.mod(build.floorDiv(add(t, j), 2), 'k')),
          ),
        );
        b.output('leaf', ['t'], (t) =>
          descend('n', { from: 0, levels: 2, returns: (n) => sub(n, 3) }, (n) => ({
            next: add(mul(2, n), 1, build.ge(x(t, 0), 0)),
          })),
        );
      },
    );
    const built = module([soft, all], 'all');
    expect(printModule(built)).toMatchInlineSnapshot(`
      "fn soft(x) = ln(1 + exp(-abs(x)))

      layer all(T, N; scale = -0.5, k = 3, on = true, act = soft, pick = max) {
        input x[T, N]
        input id[T]: i32
        weight w[N]: f16 = 1 / sqrt(N)
        best[t] = argmax i: x[t, i]
        c[] = prod i in N: w[i]
        output y[t, j in N] = if id[t] < N and not best[t] == j and on then scale * c[] + act(max i: x[t, i]) + pick(1.5, 2.0) else f32((t + j) // 2 % k)
        output leaf[t] = descend n = 0 for 2 {
          n <- 2 * n + 1 + (x[t, 0] >= 0)
        } return n - 3
      }
      "
    `);
    expect(checkModule(built)).toEqual([]);
    expect(withoutPlaces(built.items)).toEqual(withoutPlaces([soft, all]));
    expect(elaborate(built, { dims: { N: 4 } }).tensors.map((t) => t.name)).toEqual([
      'x',
      'id',
      'w',
      'best',
      'c',
      'y',
      'leaf',
    ]);
  });

  it('places diagnostics in the printed text', () => {
    const wrong = layer('wrong', { dims: ['T'] }, (b) => {
      const x = b.input('x', ['T']);
      b.output('y', ['t'], (t) => add(x(t), 'bais'));
    });
    expect(() => elaborate(module([wrong], 'made'))).toThrow('output y[t] = x[t] + bais');
  });

  it.each(['two words', '', '2x', 'x; y', 'sum', 'größe'])('refuses the name %j', (name) => {
    expect(() => layer('l', { dims: [name] }, () => undefined)).toThrow(DiagnosticError);
    expect(() => build.expr(name)).toThrow(DiagnosticError);
  });

  it('refuses numbers that cannot be written', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => build.number(value)).toThrow(DiagnosticError);
  });

  it('writes negative numbers, and whole numbers beyond i32 as f32', () => {
    const text = (value: number): string => printModule({ items: [defineFunction('f', [], () => value)] });
    expect(text(-2)).toBe('fn f() = -2\n');
    expect(text(-0)).toBe('fn f() = -0\n');
    expect(text(3e10)).toBe('fn f() = 30000000000.0\n');
    expect(text(1e25)).toBe('fn f() = 1e+25\n');
  });
});
