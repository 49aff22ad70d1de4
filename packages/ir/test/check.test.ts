/** The checker: ranges, types, folding, names, arguments. Bounds are in bounds.test.ts, messages in diagnostics.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkModule,
  DiagnosticError,
  dumpLayerIR,
  elaborate,
  layerFromText,
  parseModule,
  Sizes,
  standardLayerNames,
  standardSource,
} from '../src/index.ts';
import { codesOf, lastValue, layerText, withoutPlaces } from './support/front-end.ts';

const dump = (text: string, args = {}): string => dumpLayerIR(layerFromText(text, args));

describe('ranges', () => {
  it('come from the axes that an index stands in alone', () => {
    const layer = layerFromText(layerText('T, D', 'input x[T, D + 1]', 'output y[t] = sum i: x[t, i]'), {
      dims: { D: 4 },
    });
    expect(dumpLayerIR(layer)).toMatchInlineSnapshot(`
      "layer l(T) with D = 4
        input  x: f32[T, 5]
        output y: f32[T]
        y[t in T]: f32 =
          (sum i in 5: x[t, i])
      "
    `);
  });

  it('compare sizes as polynomials', () => {
    const same = layerText('A, B', 'input x[(A + B)^2], y[A^2 + 2 * A * B + B * B]', 'output z[i] = x[i] * y[i]');
    expect(codesOf(same)).toEqual([]);
    const other = layerText('A, B', 'input x[(A + B)^2], y[A^2 + A * B + B * B]', 'output z[i] = x[i] * y[i]');
    expect(codesOf(other)).toEqual(['E302']);
  });

  it('compare powers of unknown dims', () => {
    const tree = (a: string, b: string): readonly string[] =>
      codesOf(layerText('d, e', `weight v[${a}], w[${b}]`, 'output z[i] = v[i] * w[i]'));
    expect(tree('2^(d + 1) - 1', '2 * 2^d - 1')).toEqual([]);
    expect(tree('2^(d + e)', '2^e * 2^d')).toEqual([]);
    expect(tree('2 * 2^(d - 1)', '2^d')).toEqual([]);
    expect(tree('2^(2 * d)', '2^d * 2^d')).toEqual([]);
    expect(tree('2^d', '2^e')).toEqual(['E302']);
    expect(tree('2^d', '3^d')).toEqual(['E302']);
  });

  it('that differ are equal once bound to equal values', () => {
    const text = layerText('A, B', 'input x[A], y[B]', 'output z[i] = x[i] + y[i]');
    expect(codesOf(text)).toEqual(['E302']);
    expect(codesOf(text, { dims: { A: 3, B: 3 } })).toEqual([]);
    expect(codesOf(text, { dims: { A: 3, B: 4 } })).toEqual(['E302']);
  });

  it('said with `in` win over places', () => {
    const value = lastValue(layerText('T', 'input x[T, 4]', 'output y[t] = sum i in 3: x[t, i]'));
    expect(value.kind === 'reduce' && Sizes.format(value.indices[0]?.size ?? [])).toBe('3');
  });

  it('do not depend on folded branches', () => {
    const text = layerText('T, D; on = false', 'input x[T, D]', 'output y[t] = sum i: if on then x[t, i] else x[t, 0]');
    expect(dump(text, { dims: { D: 3 } })).toContain('sum i in 3');
  });

  it('of a broken tensor are nobody else’s problem', () => {
    const text = layerText(
      'T, D',
      'input x[T, D]',
      'h[t, j] = x[t, j] + nothing',
      'output y[t, j] = h[t, j] + h[t, 0]',
    );
    expect(codesOf(text)).toEqual(['E101']);
  });
});

describe('types', () => {
  const typed = (expression: string): string => {
    const text = dump(layerText('T', 'input x[T], n[T]: i32, b[T]: i8, g[T]: f16', `output y[t in T] = ${expression}`));
    return text.slice(text.lastIndexOf('=\n') + 2).trim();
  };

  it.each([
    ['n[t] + x[t]', '(to_f32(n[t]) + x[t])'],
    ['n[t] + 1', '(n[t] + 1)'],
    ['n[t] + 1.0', '(to_f32(n[t]) + 1.0)'],
    ['2 * x[t]', '(2.0 * x[t])'],
    ['n[t] / 2', '(to_f32(n[t]) / 2.0)'],
    ['(x[t] > 0) + n[t]', '((if (x[t] > 0.0) then 1 else 0) + n[t])'],
    ['(x[t] > 0) * x[t]', '((if (x[t] > 0.0) then 1.0 else 0.0) * x[t])'],
    ['i32(x[t] > 0)', '(if (x[t] > 0.0) then 1 else 0)'],
    ['x[t] > 0', '(if (x[t] > 0.0) then 1 else 0)'],
    ['exp(n[t])', 'exp(to_f32(n[t]))'],
    ['max(n[t], x[t])', 'max(to_f32(n[t]), x[t])'],
    ['abs(n[t])', 'abs(n[t])'],
    ['i32(floor(x[t]))', 'to_i32(floor(x[t]))'],
    ['if n[t] == 0 then 1 else x[t]', '(if (n[t] == 0) then 1.0 else x[t])'],
    ['t + T', '(t + size(T))'],
    ['(sum i in 3: i)', '(sum i in 3: i)'],
    ['x[t]^3', '((x[t] * x[t]) * x[t])'],
    ['x[t]^0', '1.0'],
    ['n[t]^1', 'n[t]'],
    ['-n[t] % 4', '(neg(n[t]) % 4)'],
  ])('%s', (text, expected) => {
    expect(typed(text)).toBe(expected);
  });

  it('of f16 and i8 tensors are f32 and i32', () => {
    const text = dump(layerText('T', 'input g[T]: f16, b[T]: i8', 'output y[t] = g[t] * b[t]'));
    expect(text).toContain('(g[t] * to_f32(b[t]))');
  });

  it('of tensors are what their values are', () => {
    const layer = layerFromText(
      layerText('T', 'input x[T]', 'a[t] = x[t] > 0', 'output b[t] = a[t] + 1', 'output c[t] = a[t] * 0.5'),
    );
    expect(layer.tensors.map((t) => `${t.name} ${t.storage}`)).toEqual(['x f32', 'a i32', 'b i32', 'c f32']);
  });
});

describe('folding', () => {
  const folded = (expression: string, args = {}): string => {
    const text = dump(
      layerText('D, E; flag = true, act = gelu, k = 3', 'input x[E]', `output y[e in E] = ${expression}`),
      args,
    );
    return text.slice(text.lastIndexOf('=\n') + 2).trim();
  };

  it.each([
    ['x[e] * (2 + 3 * 4)', '(x[e] * 14.0)'],
    ['x[e] / sqrt(D)', '(x[e] / 4.0)'],
    ['x[e] * (1 / D)', '(x[e] * 0.0625)'],
    ['7 // 2 + -7 // 2 + 7 % 4 + -7 % 4', '3'],
    ['D * E - D', 'size(16*E - 16)'],
    ['if flag then x[e] else 0', 'x[e]'],
    ['if not flag and e > 2 then x[e] else 0', '0.0'],
    ['if flag and x[e] > 2 then x[e] else 0', '(if (x[e] > 2.0) then x[e] else 0.0)'],
    ['if D > 8 or e > 2 then 1.0 else x[e]', '1.0'],
    ['2^(D - 12) + k', '19'],
    ['max(2, 3) + min(2, 3) + abs(-4)', '9'],
    ['i32(2.9) + i32(-2.9) + i32(1e30)', '2147483647'],
    ['0.1 + 0.2', String(0.1 + 0.2)],
  ])('%s', (text, expected) => {
    expect(folded(text, { dims: { D: 16 } })).toBe(expected);
  });

  it('keeps apart what f32 would lose', () => {
    expect(folded('x[e] * (1e38 * 1e38)', { dims: { D: 16 } })).toBe('(x[e] * (1e+38 * 1e+38))');
  });

  it('checks branches that are never taken, generically', () => {
    const text = layerText('T; on = false', 'input x[T]', 'output y[t] = if on then missing[t] else x[t]');
    expect(codesOf(text)).toEqual(['E103']);
  });

  it('does not hold the sizes of a branch that is never taken against a layer', () => {
    const text = layerText('T, n', 'input x[T]', 'output y[t] = x[t] + (if n > 2 then (sum i in n - 2: i) else 0)');
    expect(codesOf(text, { dims: { n: 1 } })).toEqual([]);
    expect(codesOf(text, { dims: { n: 4 } })).toEqual([]);
  });

  it('leaves out locals and weights that no output needs, and keeps inputs', () => {
    const layer = layerFromText(
      layerText(
        'T; on = false',
        'input x[T], z[T]',
        'weight w[2], v[2]',
        'a[t] = x[t] * v[0]',
        'b[t] = a[t]',
        'output y[t] = if on then w[0] else x[t]',
      ),
    );
    expect(layer.tensors.map((t) => t.name)).toEqual(['x', 'z', 'y']);
    expect(layer.statements.map((s) => s.target)).toEqual(['y']);
  });
});

describe('functions', () => {
  it('are inlined with shared arguments', () => {
    const value = lastValue(`fn square(x) = x * x\n${layerText('T', 'input x[T]', 'output y[t] = square(x[t] + 1)')}`);
    expect(value.kind === 'op' && value.args[0] === value.args[1]).toBe(true);
    const branch = lastValue(layerText('T', 'input x[T]', 'output y[t] = leaky_relu(x[t] + 1)'));
    expect(branch.kind === 'select' && branch.condition.kind === 'op' && branch.condition.args[0] === branch.then).toBe(
      true,
    );
  });

  it('may be redefined by a module, without changing what the prelude means by them', () => {
    const text = `fn softplus(x) = x\n${layerText('T', 'input x[T]', 'output a[t] = softplus(x[t])', 'output b[t] = mish(x[t])')}`;
    const dumped = dump(text);
    expect(dumped).toContain('a[t in T]: f32 =\n    x[t]');
    expect(dumped).toContain('ln(');
  });

  it('are chosen by name, primitives and own ones too', () => {
    const text = `fn half(x) = 0.5 * x\n${layerText('T; act = relu', 'input x[T]', 'output y[t] = act(x[t])')}`;
    expect(dump(text)).toContain('max(x[t], 0.0)');
    expect(dump(text, { options: { act: 'tanh' } })).toContain('tanh(x[t])');
    expect(dump(text, { options: { act: 'half' } })).toContain('(0.5 * x[t])');
    expect(layerFromText(text, { options: { act: 'half' } }).fixed).toEqual({ act: 'half' });
  });

  it('may reduce over constant ranges, each copy with names of its own', () => {
    const text = `fn twice(x) = sum i in 2: x\n${layerText('T', 'input x[T]', 'output y[t] = twice(x[t]) + twice(1)')}`;
    expect(dump(text)).toContain('((sum i in 2: x[t]) + to_f32((sum i_2 in 2: 1)))');
  });

  it('know where they came from', () => {
    const own = layerFromText(layerText('T', 'input x[T]', 'output y[t] = x[t]'), { name: 'own' });
    expect(own.sources.map((s) => s.name)).toEqual(['own']);
    const borrowed = layerFromText(layerText('T', 'input x[T]', 'output y[t] = relu(x[t])'), { name: 'own' });
    expect(borrowed.sources.map((s) => s.name)).toEqual(['own', 'espalier/functions.layer']);
  });
});

describe('names', () => {
  it('of indices are unique in their statement', () => {
    const text = layerText(
      'T, D',
      'input x[T, D], i_2[T, D]',
      'output y[t] = (sum i: x[t, i]) + (sum i: i_2[t, i]) + (max i: x[t, i])',
    );
    const names = [...dump(text, { dims: { D: 3 } }).matchAll(/(?:sum|max) (\w+) in/g)].map((m) => m[1]);
    expect(names).toEqual(['i', 'i_3', 'i_4']);
  });

  it('of a tensor may be those of an index, which then is renamed', () => {
    expect(dump(layerText('T', 'input t[T]', 'output y[t] = t[t]'))).toContain('y[t_2 in T]: f32 =\n    t[t_2]');
  });

  it('of tensors without axes are used with empty brackets', () => {
    expect(dump(layerText('T', 'input x[T]', 'c[] = sum t: x[t]', 'output y[t] = x[t] / c[]'))).toContain(
      '(x[t] / c[])',
    );
  });
});

describe('arguments', () => {
  const text = layerText(
    'T, D; eps = 1e-6, k = 2, on = false',
    'input x[T, D]',
    'weight w[D], b[D] = 0, s[1] = 1 / sqrt(D)',
    'output y[t, d] = x[t, d] * w[d] * s[0] + b[d] + eps + k + (if on then 1 else 0)',
  );

  it('are recorded', () => {
    const layer = layerFromText(text, { dims: { D: 4 }, options: { on: true } });
    expect(layer.fixed).toEqual({ D: 4, eps: 1e-6, k: 2, on: true });
    expect(layer.dims).toEqual(['T']);
  });

  it('leave weights out', () => {
    const layer = layerFromText(text, { dims: { D: 4 }, without: ['b', 's'] });
    expect(layer.tensors.filter((t) => t.role === 'weight').map((t) => t.name)).toEqual(['w']);
    expect(dumpLayerIR(layer)).toContain('(((((x[t, d] * w[d]) * 0.5) + 0.0)');
  });

  it('choose storage', () => {
    const layer = layerFromText(text, { dims: { D: 4 }, storage: { w: 'f16' } });
    expect(layer.tensors.find((t) => t.name === 'w')?.storage).toBe('f16');
    expect(codesOf(text, { dims: { D: 4 }, storage: { w: 'i32' } })).toEqual(['E209']);
  });

  it('keep whole-number options i32 only while they are whole', () => {
    const of = (k: number): string => dump(layerText('T; k = 2', 'output y[t in T] = t * k'), { options: { k } });
    expect(of(3)).toContain('(t * 3)');
    expect(of(0.5)).toContain('(to_f32(t) * 0.5)');
    expect(of(-3e38)).toContain('(to_f32(t) * -3e+38)');
  });

  it('are not taken from the prototype of objects', () => {
    expect(
      codesOf(
        layerText('T, constructor; toString = 1', 'input x[T, constructor]', 'output y[t] = x[t, 0] + toString'),
        {},
      ),
    ).toEqual([]);
  });

  it('of a dim of zero are fine', () => {
    expect(codesOf(text, { dims: { D: 0 } })).toEqual([]);
  });

  it('choose one layer of many', () => {
    const two = `${layerText('T', 'input x[T]', 'output y[t] = x[t]')}${layerText('T', 'input x[T]', 'output y[t] = -x[t]').replace('layer l', 'layer m')}`;
    expect(elaborate(parseModule(two), { layer: 'm' }).name).toBe('m');
    expect(codesOf(two, {})).toEqual(['E201']);
  });

  it('carry the rendered text in the error', () => {
    try {
      layerFromText(text, { name: 'file.layer' });
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      expect(error.message).toContain('--> file.layer:3:10');
      expect(error.diagnostics.map((d) => d.code)).toEqual(['E206', 'E206']);
      expect(error.sources.map((s) => s.name)).toContain('file.layer');
    }
  });
});

describe('descents', () => {
  const walk = 'descend n = 0 for depth { s = x[t, n]\n yield s * 2\n n <- 2 * n + 1 + (s > 0) }';

  it('keep their parts', () => {
    const value = lastValue(layerText('T, depth', 'input x[T, 7]', `output y[t] = ${walk}`), { dims: { depth: 3 } });
    if (value.kind !== 'descend') throw new Error(value.kind);
    expect(Sizes.constantOf(value.levels)).toBe(3);
    expect(value.lets.map((l) => l.name)).toEqual(['s']);
    expect(value.trace).toBeNull();
    expect(value.result).toBeNull();
  });

  it('nest and follow each other with names of their own', () => {
    const text = layerText(
      'T',
      'input x[T]',
      'output y[t] = (descend n = 0 for 2 { yield x[t]\n n <- n + 1 }) + (descend n = 0 for 2 { yield descend m = n for 2 { yield x[t]\n m <- m + 1 }\n n <- n + 1 })',
    );
    expect([...dump(text).matchAll(/descend (\w+)/g)].map((m) => m[1])).toEqual(['n', 'n_2', 'm']);
  });

  it('of no level are legal', () => {
    const layer = layerFromText(
      layerText(
        'T, depth',
        'input x[T]',
        'weight w[2^depth - 1]',
        'output y[t] = x[t] + descend n = 0 for depth { yield w[n]\n n <- 2 * n + 1 }',
      ),
      { dims: { depth: 0 } },
    );
    expect(layer.tensors.find((t) => t.name === 'w')?.shape).toEqual([[]]);
  });
});

describe('the generic check', () => {
  it('of a module reports the mistakes of all its layers and functions', () => {
    const text = `fn bad(x) = y\n${layerText('T', 'input x[T]', 'output y[t] = z')}${layerText('T', 'input x[T]', 'output y[t] = q').replace('layer l', 'layer m')}`;
    expect(codesOf(text)).toEqual(['E101', 'E101', 'E101']);
  });

  it('takes a module as well as a text', () => {
    expect(checkModule(parseModule(layerText('T', 'input x[T]', 'output y[t] = x[t]')))).toEqual([]);
  });

  it('survives every standard layer with a line or a token missing or doubled', () => {
    const texts = standardLayerNames.map((name) => standardSource(name).replace(/^\/\/.*\n/gm, ''));
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(), fc.nat(2), fc.boolean(), (text, at, how, bound) => {
        const tokens = text.match(/\w+|\s+|[^\w\s]/g) ?? [];
        const i = at % tokens.length;
        const other = tokens[(at * 7) % tokens.length] ?? '';
        const replaced = how === 0 ? [] : how === 1 ? [tokens[i] ?? '', tokens[i] ?? ''] : [other];
        const mutated = tokens.toSpliced(i, 1, ...replaced).join('');
        const diagnostics = checkModule(mutated);
        for (const d of diagnostics) expect(d.message.length).toBeGreaterThan(0);
        const args = {
          dims: { D: 3, H: 4, O: 2, trees: 2, depth: 2, W: 2, heads: 2, width: 2, V: 5, P: 3, K: 2, C: 2, E: 3, M: 2 },
        };
        if (!bound) return;
        try {
          const layers = parseModule(mutated).items.flatMap((l) => (l.kind === 'layer' ? [l] : []));
          for (const l of layers) {
            const dims = Object.fromEntries(
              l.dims
                .map((d) => d.text)
                .filter((d) => Object.hasOwn(args.dims, d))
                .map((d) => [d, args.dims[d as keyof typeof args.dims]]),
            );
            elaborate(parseModule(mutated), { layer: l.name.text, dims });
          }
        } catch (error) {
          if (!(error instanceof DiagnosticError)) throw error;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same result every time', () => {
    const text = standardSource('fff');
    expect(withoutPlaces(layerFromText(text, { dims: { D: 3, O: 2, trees: 1, depth: 2 } }))).toEqual(
      withoutPlaces(layerFromText(text, { dims: { D: 3, O: 2, trees: 1, depth: 2 } })),
    );
  });
});
