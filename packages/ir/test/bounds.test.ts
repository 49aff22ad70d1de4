/** Which accesses are proven to stay inside their tensor, which are left to the run, which are mistakes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DiagnosticError, type Expr, type LayerIR, layerFromText, Sizes, standardLayer } from '../src/index.ts';
import { boundsOf, codesOf, layerText } from './support/front-end.ts';

const bounds = (params: string, statements: readonly string[], dims: Record<string, number> = {}): readonly string[] =>
  boundsOf(layerFromText(layerText(params, ...statements), { dims }));

describe('indices', () => {
  it.each([
    ['i in D', 'x[t, i]', 'yy'],
    ['i in D - 1', 'x[t, i + 1]', 'yy'],
    ['i in D', 'x[t, D - 1 - i]', 'yy'],
    ['i in D', 'x[t, i + 1]', 'yn'],
    ['i in D', 'x[t, i - 1]', 'yn'],
    ['i in D', 'x[t, (i + 3) % D]', 'yy'],
    ['i in 2 * D', 'x[t, i // 2]', 'yy'],
    ['i in 2 * D', 'x[t, i // 3]', 'yn'],
    ['i in 2 * D', 'x[t, i % D]', 'yy'],
    ['i in 5', 'x[t, D // 2 + i - i]', 'yn'],
    ['i in D + 2', 'x[t, max(min(i - 1, D - 1), 0)]', 'yn'],
    ['i in 3', 'v[max(min(i - 1, 2), 0)]', 'y'],
    ['i in 7', 'v[if i < 3 then i else 2]', 'y'],
    ['i in 7', 'v[if i >= 3 then i - 3 else i]', 'n'],
    ['i in 7', '(if i < 3 then v[i] else 0)', 'y'],
    ['i in 7', '(if not (i >= 3) and t > 2 then v[i] else 0)', 'y'],
    ['i in 7', '(if i < 3 or t > 2 then v[i] else 0)', 'n'],
    ['i in 7', '(if i > 2 then 0 else v[i])', 'y'],
    ['i in 7', '(if i == 1 then v[i] else 0)', 'y'],
    ['i in 3', 'v[abs(i - 2)]', 'y'],
    ['i in 3', 'v[i * i]', 'n'],
    ['i in 2', 'v[i * i + 1]', 'y'],
    ['i in 3', 'v[2 - i]', 'y'],
    ['i in 2', 'v[x[t, 0] > 0 and true or false == true and i32(x[t, 0] > 0) == i or i == 0 and false]', 'type'],
    ['i in 2', 'v[i + i32(x[t, 0] > 0)]', 'y'],
    ['i in 3', 'v[i32(x[t, 0])]', 'n'],
    ['i in 3', 'v[n[t]]', 'n'],
    ['i in 3', 'v[argmax d: x[t, d]]', 'n'],
    ['i in 3', 'v[argmax d: v[d]]', 'y'],
    ['i in 3', 'v[sum a in 2: a]', 'y'],
    ['i in 3', 'v[max a in 3: a]', 'y'],
  ])('%s: %s', (range, access, expected) => {
    const statements = ['input x[T, D], n[T]: i32', 'weight v[3]', `output y[t in T] = sum ${range}: ${access}`];
    if (expected === 'type') {
      expect(codesOf(layerText('T, D', ...statements), {})).toEqual(['E403']);
      return;
    }
    expect(bounds('T, D', statements)[0]?.split(' ')[1]).toBe(expected);
  });

  it('are joined and split by sizes of the run', () => {
    const joined = bounds('B, S, D', ['input x[B * S, D]', 'output y[b in B, s in S, d] = x[b * S + s, d]']);
    expect(joined).toEqual(['x yy']);
    const split = bounds('B, S, D', ['input x[B, S, D]', 'output y[r in B * S, d] = x[r // S, r % S, d]']);
    expect(split).toEqual(['x yyy']);
    const wrong = bounds('B, S, D', ['input x[B, S, D]', 'output y[r in B * S, d] = x[r // B, r % S, d]']);
    expect(wrong).toEqual(['x nyy']);
  });

  it('that a size of zero would divide are checked', () => {
    const safe = bounds('T, S', ['input x[S]', 'output y[t in S] = x[(7 * t) % S]']);
    expect(safe).toEqual(['x y']);
    const unsafe = bounds('T, S', ['input x[S]', 'output y[t in T] = x[t % S]']);
    expect(unsafe).toEqual(['x n']);
  });

  it('of an argument that is used in a dead place and a live one are judged apart', () => {
    const text = `fn both(v) = (sum i in 0: v) + v\n${layerText('T', 'input n[T]: i32', 'weight w[4]', 'output y[t] = both(w[n[t]])')}`;
    const layer = layerFromText(text);
    const value = layer.statements[0]?.value;
    expect(value?.kind === 'op' && value.args[1]?.kind === 'access' && value.args[1].inBounds).toEqual([false]);
  });

  it('of another size of the run are checked there', () => {
    expect(bounds('S, D', ['input x[S, D]', 'weight p[8]', 'output y[s in S] = x[s, 0] + p[s]'])).toEqual([
      'x yn',
      'p n',
    ]);
  });

  it('in loops over nothing are never evaluated', () => {
    expect(
      bounds('T, D', ['input x[T]', 'weight w[D]', 'output y[t] = x[t] + sum i in D: w[i + 9]'], { D: 0 }),
    ).toEqual(['x y', 'w y']);
  });
});

describe('values of tensors', () => {
  it('are remembered', () => {
    const got = bounds(
      'T, N',
      [
        'input x[T, N]',
        'weight v[N * N, 2]',
        'a[t] = argmax i: x[t, i]',
        'b[t] = argmin i: x[t, i]',
        'output y[t, o] = v[a[t] * N + b[t], o]',
      ],
      { N: 5 },
    );
    expect(got).toContain('v yy');
  });

  it('of inputs and weights are not known', () => {
    expect(bounds('T', ['input id[T]: i32', 'weight v[4], w[4]: i32', 'output y[t] = v[id[t]] + v[w[0]]'])).toEqual([
      'v n',
      'id y',
      'v n',
      'w y',
    ]);
  });
});

describe('descents', () => {
  it('of the standard library stay in their trees', () => {
    for (const depth of [0, 1, 2, 11]) {
      const fff = standardLayer('fff', { dims: { D: 3, O: 2, trees: 2, depth } });
      expect(
        boundsOf(fff).every((b) => !b.includes('n', b.indexOf(' '))),
        `depth ${depth}`,
      ).toBe(true);
      const leaf = standardLayer('leaf_fff', { dims: { D: 3, W: 2, O: 2, depth } });
      expect(
        boundsOf(leaf).every((b) => !b.includes('n', b.indexOf(' '))),
        `leaf depth ${depth}`,
      ).toBe(true);
    }
  });

  it('of one level too many are caught', () => {
    const walk = (levels: number): string =>
      layerText(
        'T',
        'input x[T]',
        'weight w[7]',
        `output y[t] = descend n = 0 for ${levels} { s = w[n] * x[t]\n yield s\n n <- 2 * n + 1 + (s > 0) }`,
      );
    expect(boundsOf(layerFromText(walk(3)))[0]).toBe('w y');
    expect(boundsOf(layerFromText(walk(4)))[0]).toBe('w n');
  });

  it('follow lets and branches', () => {
    const got = bounds('T', [
      'input x[T]',
      'weight w[15]',
      'output y[t] = descend n = 0 for 4 { right = x[t] > w[n]\n child = if right then 2 * n + 2 else 2 * n + 1\n yield w[n]\n n <- child }',
    ]);
    expect(got).toEqual(['x y', 'w y', 'w y']);
  });

  it('with other than two children', () => {
    const got = bounds('T', [
      'input x[T, 3]',
      'weight w[13]',
      'output y[t] = descend n = 0 for 3 { yield w[n]\n n <- 3 * n + 1 + (argmax i: x[t, i]) }',
    ]);
    expect(got[0]).toBe('w y');
  });

  it('that go on for long are given up, not followed for ever', () => {
    const chain = layerText(
      'T',
      'input x[T]',
      'weight w[10]',
      'output y[t] = descend a = 0 for 60000 { yield descend b = a for 60000 { yield w[b] * x[t]\n b <- b + 1 }\n a <- a + 1 }',
    );
    expect(boundsOf(layerFromText(chain))).toContain('w n');
  });

  it('whose node does not change settle at once', () => {
    const still = bounds('T', [
      'input x[T]',
      'weight w[10]',
      'output y[t] = descend n = 9 for 60000 { yield w[n] * x[t]\n n <- n }',
    ]);
    expect(still).toEqual(['w y', 'x y']);
  });
});

describe('mistakes', () => {
  it.each([
    ['x[t, 4]', ['E304']],
    ['x[t, -1]', ['E304']],
    ['x[T, 0]', ['E304']],
    ['x[t, 3]', []],
    ['x[t + T, 0]', ['E304']],
    ['(if t > 3 then x[t, 9] else 0)', []],
    ['(if true then x[t, 9] else 0)', ['E304']],
    ['(if false then x[t, 9] else 0)', []],
    ['(sum i in 6: x[t, i])', ['E304']],
    ['(sum i in 0: x[t, i + 7])', []],
  ])('%s', (access, codes) => {
    expect(codesOf(layerText('T', 'input x[T, 4]', `output y[t in T] = ${access}`), {})).toEqual(codes);
  });
});

/** Evaluates an i32 expression of indices and literals. */
function evaluate(e: Expr, env: ReadonlyMap<string, number>): number {
  switch (e.kind) {
    case 'literal':
      return e.value;
    case 'size':
      return Sizes.evaluate(e.size, env);
    case 'index':
      return env.get(e.name) ?? Number.NaN;
    case 'select':
      return evaluate(e.condition, env) !== 0 ? evaluate(e.then, env) : evaluate(e.otherwise, env);
    case 'op': {
      const [a = 0, b = 0] = e.args.map((x) => evaluate(x, env));
      const table: Record<string, () => number> = {
        add: () => a + b,
        sub: () => a - b,
        mul: () => a * b,
        // What a division by 0 gives is nobody's promise: something far away.
        floordiv: () => (b === 0 ? 1_000_007 : Math.floor(a / b)),
        mod: () => (b === 0 ? -1_000_003 : a - b * Math.floor(a / b)),
        min: () => Math.min(a, b),
        max: () => Math.max(a, b),
        abs: () => Math.abs(a),
        neg: () => -a,
        lt: () => Number(a < b),
        ge: () => Number(a >= b),
        eq: () => Number(a === b),
      };
      return table[e.op]?.() ?? Number.NaN;
    }
    default:
      throw new Error(e.kind);
  }
}

function accessIn(layer: LayerIR): Expr & { kind: 'access' } {
  let value = layer.statements.at(-1)?.value;
  while (value?.kind === 'reduce') value = value.body;
  if (value?.kind !== 'access') throw new Error('no access');
  return value;
}

function soundLayer(source: string): LayerIR | null {
  try {
    return layerFromText(source);
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics.every((d) => ['E304', 'E305', 'E412'].includes(d.code)))
      return null;
    throw error;
  }
}

describe('a proof', () => {
  const leaf = fc.oneof(fc.constantFrom('i', 'j', 'S'), fc.integer({ min: 0, max: 9 }).map(String));
  const { term } = fc.letrec<{ term: string }>((tie) => ({
    term: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.tuple(tie('term'), fc.constantFrom('+', '-', '*'), tie('term')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc
        .tuple(tie('term'), fc.constantFrom('//', '%'), fc.constantFrom('1', '2', '3', 'S', 'R', '(2 * S)'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
      fc.tuple(fc.constantFrom('min', 'max'), tie('term'), tie('term')).map(([f, a, b]) => `${f}(${a}, ${b})`),
      tie('term').map((a) => `abs(${a})`),
      fc
        .tuple(tie('term'), fc.constantFrom('<', '>=', '=='), tie('term'), tie('term'), tie('term'))
        .map(([a, op, b, c, d]) => `(if ${a} ${op} ${b} then ${c} else ${d})`),
      fc
        .tuple(fc.constantFrom('i', 'j'), fc.constantFrom('<', '>='), tie('term'), tie('term'), tie('term'))
        .map(([a, op, b, c, d]) => `(if ${a} ${op} ${b} then ${c} else ${d})`),
    ),
  }));

  it('is never wrong: for sizes of the run, small and zero, every proven index is inside', () => {
    let proven = 0;
    fc.assert(
      fc.property(
        term,
        fc.constantFrom('3', 'S', 'S + 2', '2 * S', 'S * S'),
        fc.constantFrom('S', '4', 'S + 1', 'R'),
        (text, size, range) => {
          const source = layerText('S, R', `input x[${size}]`, `output y[] = sum i in ${range}, j in S: x[${text}]`);
          // An index that is never inside is a mistake, which is right as well.
          const layer = soundLayer(source);
          if (layer === null) return;
          const { indices, inBounds } = accessIn(layer);
          if (inBounds[0] !== true || indices[0] === undefined) return;
          proven++;
          const shape = layer.tensors[0]?.shape[0] ?? [];
          const value = layer.statements[0]?.value;
          const ranges = value?.kind === 'reduce' ? value.indices : [];
          for (const [s, r] of [
            [0, 3],
            [1, 0],
            [2, 5],
            [3, 3],
            [7, 1],
          ] as const) {
            const dims = new Map([
              ['S', s],
              ['R', r],
            ]);
            const [ni = 0, nj = 0] = ranges.map((r) => Sizes.evaluate(r.size, dims));
            for (let i = 0; i < ni; i++) {
              for (let j = 0; j < nj; j++) {
                const index = evaluate(
                  indices[0],
                  new Map([
                    ['S', s],
                    ['R', r],
                    ['i', i],
                    ['j', j],
                  ]),
                );
                expect(
                  index >= 0 && index < Sizes.evaluate(shape, dims),
                  `${source} at S = ${s}, i = ${i}, j = ${j}: ${index}`,
                ).toBe(true);
              }
            }
          }
        },
      ),
      { numRuns: 1500 },
    );
    expect(proven).toBeGreaterThan(100);
  });
});
