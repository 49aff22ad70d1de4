/**
 * Layers that only a rare option of crammedBERT needs, so that the standard library need not have them: they are written in
 * the layer language like everybody's own.
 */
import { layerFromText } from '@espalier/ir';
import type { LayerMaker } from '../graphs/builder.ts';

function own(name: string, text: string): LayerMaker {
  return { name, make: (dims, options) => layerFromText(text, { name: `${name}.layer`, layer: name, dims, options }) };
}

/** Pooler "max": the largest value over all positions. */
export const POOL_MAX = own(
  'pool_max',
  `layer pool_max(B, S, D) {
  input x[B, S, D]
  output y[b, d] = max s: x[b, s, d]
}
`,
);

/** Pooler "lse": ln Σ exp over all positions, safe for large values. */
export const POOL_LOGSUMEXP = own(
  'pool_logsumexp',
  `layer pool_logsumexp(B, S, D) {
  input x[B, S, D]
  top[b, d] = max s: x[b, s, d]
  total[b, d] = sum s: exp(x[b, s, d] - top[b, d])
  output y[b, d] = top[b, d] + ln(total[b, d])
}
`,
);

/** An activation alone: a classifier without dense layer. */
export const ACTIVATE = own(
  'activate',
  `layer activate(T, D; activation = tanh) {
  input x[T, D]
  output y[t, d] = activation(x[t, d])
}
`,
);

/** ScaleNorm (arXiv 1910.05895) as the cramming program has it: one learned length for all rows. */
export const SCALE_NORM = own(
  'scale_norm',
  `layer scale_norm(T, D; eps = 1e-5) {
  input x[T, D]
  weight g[1]
  length[t] = max(sqrt(sum i: x[t, i] * x[t, i]), eps)
  output y[t, d] = x[t, d] * g[0] / length[t]
}
`,
);
