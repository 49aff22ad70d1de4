/**
 * Layers that no strategy was written for, each an idea that a person could have tomorrow. What is special about a layer
 * is said in its text; every runtime runs them all.
 */
import type { Tensors } from './layer-case.ts';

export interface OddLayer {
  readonly name: string;
  readonly text: string;
  /** Compile-time dims. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Values of the runtime dims, a run each; one run without any where the layer has none. */
  readonly runs?: readonly Readonly<Record<string, number>>[];
  /** Integers of a tensor lie below this; 2 unless told. */
  readonly integers?: Readonly<Record<string, number>>;
  /** Changes the random data. */
  readonly data?: (tensors: Tensors) => Tensors;
}

/** Puts NaN, infinities, zeros of both signs and a denormal into every f32 tensor. */
const withSpecials = (tensors: Tensors): Tensors => {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e-40, 3e38];
  for (const values of Object.values(tensors))
    if (values instanceof Float32Array)
      for (let i = 0; i < values.length; i += 2) values[i] = specials[(i / 2) % specials.length] ?? 0;
  return tensors;
};

const tokens = [{ T: 1 }, { T: 13 }, { T: 0 }, { T: 50 }];

export const oddLayers: readonly OddLayer[] = [
  {
    name: 'product-key memory',
    dims: { D: 6, K: 5, O: 7 },
    runs: tokens,
    text: `layer product_keys(T, D, K, O) {
  input x[T, 2 * D]
  weight left[K, D], right[K, D], memory[K * K, O]
  a[t] = argmax k: sum i in D: x[t, i] * left[k, i]
  b[t] = argmax k: sum i: x[t, D + i] * right[k, i]
  s[t] = (max k: sum i in D: x[t, i] * left[k, i]) + (max k: sum i: x[t, D + i] * right[k, i])
  output slot[t in T] = a[t] * K + b[t]
  output y[t, o] = sigmoid(s[t]) * memory[a[t] * K + b[t], o]
}`,
  },
  {
    name: 'ternary tree',
    dims: { D: 9, O: 11, trees: 3, depth: 3 },
    runs: tokens,
    text: `layer ternary(T, D, O, trees, depth) {
  let nodes = (3^depth - 1) // 2
  input x[T, D]
  weight w[trees, nodes, D], b[trees, nodes], low[trees, nodes], v[trees, nodes, O]
  output y[t, o] = sum k: descend n = 0 for depth {
    s = (sum i: x[t, i] * w[k, n, i]) + b[k, n]
    yield tanh(s) * v[k, n, o]
    n <- 3 * n + 1 + i32(s > 0) + i32(s > low[k, n] * low[k, n])
  }
}`,
  },
  {
    name: 'gated tree: a gate of its own at every node',
    dims: { D: 8, O: 12, trees: 2, depth: 4 },
    runs: tokens,
    text: `layer gated_tree(T, D, O, trees, depth) {
  let nodes = 2^depth - 1
  input x[T, D]
  weight w[trees, nodes, D], gate[trees, nodes, D], v[trees, nodes, O], u[trees, nodes, O]
  output y[t, o] = sum k: descend n = 0 for depth {
    s = sum i: x[t, i] * w[k, n, i]
    g = sum i: x[t, i] * gate[k, n, i]
    yield silu(g) * s * v[k, n, o] + (if s > 0 then u[k, n, o] else 0)
    n <- 2 * n + 1 + (s > 0)
  }
}`,
  },
  {
    name: 'tree whose children are data',
    dims: { D: 5, O: 9, N: 7 },
    runs: tokens,
    integers: { child: 7 },
    text: `layer pointers(T, D, O, N) {
  input x[T, D]
  weight w[N, D], child[N, 2]: i32, v[N, O]
  last[t] = descend n = 0 for 4 {
    s = sum i: x[t, i] * w[n, i]
    n <- child[n, i32(s > 0)]
  } return n
  output y[t, o] = v[last[t], o] + descend n = 3 for 3 {
    s = sum i: x[t, i] * w[n, i]
    yield s * v[n, o]
    n <- if s > 0 then child[n, 0] else last[t]
  }
}`,
  },
  {
    name: 'convolution with guarded borders',
    dims: { D: 6, O: 9, W: 3 },
    runs: tokens,
    text: `layer convolution(T, D, O, W) {
  input x[T, D]
  weight w[O, W, D], b[O]
  output y[t in T, o] = relu((sum k, i: (if t + k - 1 >= 0 and t + k - 1 < T then x[t + k - 1, i] else 0) * w[o, k, i]) + b[o])
}`,
  },
  {
    name: 'a shift far beyond the borders',
    runs: [{ T: 1 }, { T: 40 }, { T: 3001 }],
    text: `layer shifted(T) {
  input x[T]
  output back[t in T] = if t >= 3000 then x[t - 3000] else -1.0
  output ahead[t in T] = if t + 3000 < T then x[t + 3000] else -1.0
  output mirrored[t in T] = x[T - 1 - t]
}`,
  },
  {
    name: 'banded matrix',
    dims: { D: 17 },
    runs: tokens,
    text: `layer banded(T, D) {
  input x[T, D]
  weight band[D, 5]
  output y[t, d in D] = sum k in 5: (if d + k < 2 or d + k - 2 >= D then 0 else x[t, max(0, min(d + k - 2, D - 1))] * band[d, k])
}`,
  },
  {
    name: 'causal attention of one head',
    dims: { D: 8 },
    runs: tokens,
    text: `layer causal(T, D) {
  input q[T, D], k[T, D], v[T, D]
  s[t, r] = if r > t then -1e30 else 0.3 * sum d: q[t, d] * k[r, d]
  m[t] = max r: s[t, r]
  e[t, r] = exp(s[t, r] - m[t])
  z[t] = sum r: e[t, r]
  output y[t, d] = (sum r: e[t, r] * v[r, d]) / z[t]
}`,
  },
  {
    name: 'cumulative sums, both ways',
    dims: { D: 5 },
    runs: tokens,
    text: `layer cumulative(T, D) {
  input x[T, D]
  output before[t in T, d] = sum s in T: (if s <= t then x[s, d] else 0)
  output after[t in T, d] = sum s in T: (if t + s < T then x[t + s, d] else 0)
  output count[t in T] = sum s in T: i32(x[s, 0] > x[t, 0])
}`,
  },
  {
    name: 'outer products and transposes',
    dims: { D: 7, E: 6 },
    runs: tokens,
    text: `layer outer(T, D, E) {
  input x[T, D], y[T, E]
  p[t, d, e] = x[t, d] * y[t, e]
  q[e, d, t] = p[t, d, e] + 1
  output r[d, t, e] = q[e, d, t] * q[e, d, t]
  output m[e, d] = sum t: q[e, d, t]
}`,
  },
  {
    name: 'contraction in four dimensions',
    dims: { H: 3, D: 5, E: 8, O: 9 },
    runs: [
      { B: 2, T: 7 },
      { B: 1, T: 1 },
      { B: 0, T: 3 },
      { B: 3, T: 49 },
    ],
    text: `layer four(B, T, H, D, E, O) {
  input x[B, T, H, D]
  weight w[H, D, E], out[O, H, E]
  h[b, t, k, e] = sum d: x[b, t, k, d] * w[k, d, e]
  output y[b, t, o] = gelu(sum k, e: h[b, t, k, e] * out[o, k, e])
}`,
  },
  {
    name: 'contraction with two weights in its product',
    dims: { D: 11, O: 24 },
    runs: tokens,
    text: `layer scaled(T, D, O) {
  input x[T, D]
  weight w[O, D], g[D], c[O]
  output y[t, o] = (sum i: x[t, i] * g[i] * w[o, i]) * c[o]
  output z[t, o] = sum i: w[o, i] * (x[t, i] - 0.5) * g[i]
}`,
  },
  {
    name: 'one weight in two contractions, once transposed',
    dims: { D: 16, O: 16 },
    runs: tokens,
    text: `layer tied(T, D, O) {
  input x[T, D]
  weight w[O, D]
  h[t, o] = tanh(sum i: x[t, i] * w[o, i])
  output y[t, d] = (sum o: h[t, o] * w[o, d]) + w[0, d]
}`,
  },
  {
    name: 'weights multiplied by themselves: what rows read is what columns read',
    dims: { R: 33 },
    runs: [{}],
    text: `layer gram(R) {
  weight w[R, 3, 5], h[R, 40]: f16, q[R, 40]: i8, f[R, 40]
  output whole[k in R, r in R] = sum i in 3, j in 5: w[k, i, j] * w[r, i, j]
  output halves[k in R, r in R] = sum i: h[k, i] * h[r, i]
  output bytes[k in R, r in R] = sum i: f32(q[k, i]) * 0.01 * f32(q[r, i]) * 0.01
  output both[k in R, r in R] = (sum i: f[k, i] * f[r, i]) + f[k, 3]
}`,
  },
  {
    name: 'gated product of two sums, and a sum beside it',
    dims: { D: 10, O: 17 },
    runs: tokens,
    text: `layer two_sums(T, D, O) {
  input x[T, D]
  weight a[O, D], b[D, O], c[O]
  output y[t, o] = ((sum i: x[t, i] * a[o, i]) + c[o]) * sigmoid(sum i: x[t, i] * b[i, o]) - (sum i: x[t, i] * a[o, i])
}`,
  },
  {
    name: 'a contraction whose epilogue gathers',
    dims: { D: 7, O: 16 },
    runs: tokens,
    integers: { at: 16 },
    text: `layer epilogue(T, D, O) {
  input x[T, D]
  weight w[O, D], at[O]: i32, b[O]
  output y[t, o] = (sum i: x[t, i] * w[o, i]) + b[at[o]] + (if o > 2 then x[t, 0] * b[o - 3] else 0)
}`,
  },
  {
    name: 'weights stored as f16 and i8',
    dims: { D: 19, O: 24 },
    runs: tokens,
    text: `layer stored(T, D, O) {
  input x[T, D]
  weight w[O, D]: i8, scale[O], h[O, D]: f16, bias[O]: f16
  output y[t, o] = (sum i: x[t, i] * w[o, i]) * scale[o] * 0.01 + bias[o]
  output z[t, o] = (sum i: x[t, i] * h[o, i]) + bias[o]
  output q[t, o] = sum i: x[t, i] * h[o, i] * w[o, i]
}`,
  },
  {
    name: 'tensors without axes',
    runs: tokens,
    text: `layer scalars(T) {
  input x[T], s[]
  weight w[]
  total[] = (sum t: x[t]) * s[] + w[]
  output y[t] = x[t] - total[]
  output z[] = tanh(total[]) * w[]
  output n[] = T * 2
}`,
  },
  {
    name: 'integers: argmin, division, remainder, comparisons',
    dims: { D: 6 },
    runs: tokens,
    integers: { n: 100 },
    text: `layer integers(T, D) {
  input x[T, D], n[T]: i32
  output least[t] = argmin d: x[t, d]
  output most[t] = argmax d: abs(x[t, d])
  output q[t] = (n[t] - 50) // 7 * 100 + (n[t] - 50) % 7
  output down[t, d] = i32(x[t, d] * 3) + i32(floor(x[t, d] * 3)) * 10
  output pick[t] = x[t, (n[t] - 31) % D]
  output flags[t] = i32(n[t] > 50 and x[t, 0] > 0 or not (n[t] % 2 == 0))
  output top[t] = max(abs(n[t] - 50), min(n[t], 20))
  output product[t] = prod d in 3: (n[t] % 5 + d)
}`,
  },
  {
    name: 'the smallest and the largest of integers',
    dims: { D: 19 },
    runs: tokens,
    integers: { n: 1000 },
    text: `layer extremes(T, D) {
  input n[T, D]: i32
  weight w[D, D]: i8
  output low[t] = min d: n[t, d]
  output high[t] = max d: n[t, d]
  output above[t] = max d: i32(n[t, d] > 990)
  output columns[d] = max e: w[d, e]
  output rows[e] = min d: w[d, e]
}`,
  },
  {
    name: 'three hundred products in one expression, and a choice among fifty',
    dims: { D: 9 },
    runs: [{ T: 2 }],
    text: `layer long(T, D) {
  input x[T, D]
  output y[t, d] = x[t, d]${Array.from({ length: 300 }, (_, i) => ` + x[t, d] * ${i % 17}`).join('')}
  output z[t] = sum d: (x[t, d]${Array.from({ length: 300 }, (_, i) => ` - x[t, d] * ${i % 13}`).join('')})
  output c[t, d] = ${Array.from({ length: 50 }, (_, i) => `if x[t, d] > ${2 - i / 10} then ${i} * x[t, d] else `).join('')} -x[t, d]
}`,
  },
  {
    name: 'products and reductions over several indices',
    dims: { A: 3, B: 5 },
    runs: tokens,
    text: `layer several(T, A, B) {
  input x[T, A, B]
  output p[t] = prod a, b: (1 + 0.2 * x[t, a, b])
  output m[t] = (max a, b: x[t, a, b]) - (min b, a: x[t, a, b])
  output s[a] = sum t, b: x[t, a, b] * x[t, a, B - 1 - b]
  output n[b] = min t, a: x[t, a, b]
}`,
  },
  {
    name: 'indices by division and remainder',
    dims: { H: 3, D: 4 },
    runs: tokens,
    text: `layer reshaped(T, H, D) {
  input x[T, H * D]
  output y[h in H, t, d in D] = x[t, h * D + d]
}`,
  },
  {
    name: 'flattened, and put together again',
    dims: { H: 3, D: 5 },
    runs: [
      { B: 2, S: 4 },
      { B: 1, S: 1 },
      { B: 0, S: 2 },
      { B: 5, S: 13 },
    ],
    text: `layer flattened(B, S, H, D) {
  input x[B, S, H, D]
  flat[r in B * S, c in H * D] = x[r // S, r % S, c // D, c % D] * 2
  output y[b in B, h in H, s in S, d in D] = flat[b * S + s, h * D + d] + 1
}`,
  },
  {
    name: 'gather of a gather',
    dims: { V: 9, K: 4, D: 10 },
    runs: tokens,
    integers: { ids: 9, kinds: 4 },
    text: `layer twice(T, V, K, D) {
  input ids[T]: i32
  weight kinds[V]: i32, table[K, D], other[V, D]
  output y[t in T, d] = table[kinds[ids[t]], d] + other[ids[T - 1 - t], d]
}`,
  },
  {
    name: 'chains of choices',
    dims: { D: 13 },
    runs: tokens,
    text: `layer choices(T, D) {
  input x[T, D]
  weight a[D], b[D]
  output y[t, d] = if x[t, d] > 1 then a[d] else if x[t, d] > 0 then b[d] * x[t, d] else if d % 3 == 0 then -1.0 else x[t, d]
  output z[t, d] = if t % 2 == 0 then (sum i: x[t, i] * a[i]) else (if d > 5 then exp(-abs(x[t, d])) else (max i: x[t, i]))
}`,
  },
  {
    name: 'not-a-number, infinities, zeros, denormals',
    dims: { D: 14 },
    runs: [{ T: 1 }, { T: 6 }],
    data: withSpecials,
    text: `layer specials(T, D) {
  input x[T, D], z[T, D]
  output smaller[t, d] = min(x[t, d], z[t, d])
  output larger[t, d] = max(z[t, d], x[t, d])
  output powers[t, d] = exp(x[t, d])
  output logarithms[t, d] = ln(x[t, d])
  output bounded[t, d] = tanh(x[t, d]) + erf(x[t, d])
  output root[t, d] = sqrt(x[t, d])
  output whole[t, d] = i32(x[t, d])
  output floors[t, d] = floor(x[t, d] * 2)
  output order[t, d] = i32(x[t, d] < z[t, d]) + 2 * i32(x[t, d] != z[t, d]) + 4 * i32(x[t, d] >= x[t, d])
  output best[t] = argmax d: x[t, d]
  output worst[t] = argmin d: x[t, d]
  output top[t] = max d: x[t, d]
  output both[t, d] = if x[t, d] > 0 then x[t, d] else z[t, d]
}`,
  },
  {
    name: 'the diagonal, and a trace',
    dims: { D: 12 },
    runs: tokens,
    text: `layer diagonal(T, D) {
  input x[T, D, D]
  weight w[D, D]
  output y[t, i] = x[t, i, i] * w[i, i] + w[i, D - 1 - i]
  output z[t] = sum i: x[t, i, i]
  output v[t, o] = sum i: x[t, i, i] * w[o, i]
}`,
  },
  {
    name: 'a long chain over all strategies',
    dims: { D: 16, V: 6, L: 3 },
    runs: tokens,
    text: `layer chain(T, D, V, L) {
  let nodes = 2^L - 1
  input x[T, D]
  weight w[D, D], b[D], node[nodes, D], rows[V, D], out[D, D], g[D]
  h[t, d] = gelu((sum i: x[t, i] * w[d, i]) + b[d])
  mean[t] = (sum d: h[t, d]) / D
  var[t] = (sum d: (h[t, d] - mean[t]) * (h[t, d] - mean[t])) / D
  z[t, d] = (h[t, d] - mean[t]) / sqrt(var[t] + 1e-5) * g[d]
  leaf[t] = descend n = 0 for L { s = sum i: z[t, i] * node[n, i]; n <- 2 * n + 1 + i32(s > 0) } return n - nodes
  pick[t] = (leaf[t] + (argmax d: z[t, d])) % V
  u[t, d] = z[t, d] * 0.5 + rows[pick[t], d]
  top[t] = max d: u[t, d]
  e[t, d] = exp(u[t, d] - top[t])
  p[t, d] = e[t, d] / (sum i: e[t, i])
  m[d] = sum t: p[t, d]
  output y[t, o] = (sum i: p[t, i] * out[o, i]) + m[o]
  output route[t] = pick[t]
}`,
  },
  {
    name: 'a walk that only some need',
    dims: { D: 6, O: 8 },
    runs: tokens,
    text: `layer lazy(T, D, O) {
  input x[T, D]
  weight w[7, D], v[7, O]
  output y[t, o] = if x[t, 0] > 0 then (descend n = 0 for 3 { s = sum i: x[t, i] * w[n, i]; yield s * v[n, o]; n <- 2 * n + 1 + i32(s > 0) }) else x[t, 1]
}`,
  },
  {
    name: 'walks round a ring, from where data say',
    dims: { D: 6, L: 9 },
    runs: tokens,
    integers: { start: 5 },
    text: `layer ring(T, L, D) {
  input x[T, D], start[T]: i32
  weight w[5, D]
  output y[t] = descend n = start[t] % 5 for L { s = sum i: x[t, i] * w[n, i]; n <- (2 * n + 1 + i32(s > 0)) % 5 } return n
  output z[t, d] = descend n = start[t] % 5 for L { s = w[n, d] * x[t, d]; yield s; n <- (n + 1 + i32(s > 0)) % 5 }
}`,
  },
  {
    name: 'more tensors than a GPU binds, in statements that are fused',
    dims: { D: 5 },
    runs: tokens,
    text: `layer many_tensors(T, D) {
  input a[T, D], b[T, D], c[T, D], d[T, D], e[T, D], f[T, D], g[T, D], h[T, D]
  m[t] = max i: (a[t, i] * b[t, i] + c[t, i] * d[t, i])
  output y[t, i] = (e[t, i] - m[t]) * f[t, i] + g[t, i] * h[t, i]
}`,
  },
];
