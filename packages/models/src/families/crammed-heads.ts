/**
 * The heads of crammedBERT: the masked language model's (with or without a transform before the tied decoder) and the
 * classifier's (pooling over all positions, padding included, as the original does).
 */
import { B, S } from '../graphs/builder.ts';
import type { Arch, ClassifierArch } from './crammed-config.ts';
import { ACTIVATE, POOL_LOGSUMEXP, POOL_MAX } from './own-layers.ts';
import { ASKED_POSITIONS, askedRows, EACH_SEQUENCE, FLAT_POSITIONS, linear, norm, type Site } from './pieces.ts';
import type { Extent } from './weights.ts';

/**
 * Scores for every word: [B·S, V], or [P, V] where asked.
 *
 * @param how.transform dense, activation and norm before the decoder
 * @returns the tensor
 */
export function maskedLanguageHead(
  site: Site,
  arch: Arch,
  last: string,
  how: { readonly asked: boolean; readonly transform: boolean },
): string {
  const { hidden, vocabulary } = arch;
  const rows = how.asked ? ASKED_POSITIONS : FLAT_POSITIONS;
  const from = how.asked ? askedRows(site, { id: 'head.rows', from: last, to: 'head.input', width: hidden }) : last;
  const decoder = decoderWeight(site, arch);
  const bias = arch.decoderBias ? 'decoder.bias' : undefined;
  if (!how.transform) {
    return linear(site, {
      id: 'head',
      from,
      to: 'logits',
      rows,
      width: hidden,
      out: vocabulary,
      weight: decoder,
      bias,
    });
  }
  const dense = { weight: 'prediction_head.dense.weight', bias: arch.bias ? 'prediction_head.dense.bias' : undefined };
  if (arch.norm.kind === 'layer') {
    const { graph, book } = site;
    return graph.node({
      id: 'head',
      layer: 'mlm_head',
      fixed: { D: hidden.size, V: vocabulary.size },
      options: { activation: arch.activation, eps: arch.norm.eps },
      without: [...(dense.bias === undefined ? ['b'] : []), ...(bias === undefined ? ['decoder_b'] : [])],
      dims: { T: rows.count },
      inputs: { x: from },
      weights: {
        w: book.take(dense.weight, [hidden, hidden]),
        ...(dense.bias === undefined ? {} : { b: book.take(dense.bias, [hidden]) }),
        g: book.take('prediction_head.norm.weight', [hidden]),
        norm_b: book.take('prediction_head.norm.bias', [hidden]),
        decoder: book.take(decoder, [vocabulary, hidden]),
        ...(bias === undefined ? {} : { decoder_b: book.take(bias, [vocabulary]) }),
      },
      output: { name: 'logits', shape: rows.shape(vocabulary.size) },
    });
  }
  const { activation } = arch;
  const step = { rows, width: hidden };
  const h = linear(site, { ...step, ...dense, id: 'head.dense', from, to: 'head.dense', out: hidden, activation });
  const z = norm(site, {
    ...step,
    id: 'head.norm',
    from: h,
    to: 'head.norm',
    norm: arch.norm,
    prefix: 'prediction_head.norm',
  });
  return linear(site, { ...step, id: 'head', from: z, to: 'logits', out: vocabulary, weight: decoder, bias });
}

/**
 * The canonical name of the decoder's weight. Published files store the tied decoder a second time: it must be equal then.
 * Only a config that says `tie_weights: false` may have another one.
 */
function decoderWeight({ book }: Site, { vocabulary, hidden, tied }: Arch): string {
  const [own, word] = ['decoder.weight', 'embedding.word_embedding.weight'];
  if (!book.has(own)) return word;
  if (!tied) return own;
  book.tie(own, word, [vocabulary, hidden]);
  return word;
}

/** One score a class: [B, classes]. Dense and activation are applied to the pooled last hidden state, then the head. */
export function classifier(site: Site, arch: Arch, head: ClassifierArch, last: string, classes: Extent): string {
  const { graph, book } = site;
  const { hidden } = arch;
  const pooled = graph.node({
    id: 'pooler.pool',
    layer: { avg: 'mean_pool', zero_index: 'first_token', max: POOL_MAX, lse: POOL_LOGSUMEXP }[head.pool],
    fixed: { D: hidden.size },
    dims: { B, S },
    inputs: { x: last },
    output: { name: 'pooler.input', shape: EACH_SEQUENCE.shape(hidden.size) },
  });
  if (!head.dense) {
    const activated = graph.node({
      id: 'pooler',
      layer: ACTIVATE,
      fixed: { D: hidden.size },
      options: { activation: head.activation },
      dims: { T: B },
      inputs: { x: pooled },
      output: { name: 'pooler.output', shape: EACH_SEQUENCE.shape(hidden.size) },
    });
    const step = { id: 'head', from: activated, to: 'logits', rows: EACH_SEQUENCE, width: hidden };
    return linear(site, { ...step, out: classes, weight: 'head.weight', bias: 'head.bias' });
  }
  return graph.node({
    id: 'head',
    layer: 'classification_head',
    fixed: { D: hidden.size, H: head.width.size, C: classes.size },
    options: { activation: head.activation },
    dims: { B },
    inputs: { x: pooled },
    weights: {
      w: book.take('pooler.dense.weight', [head.width, hidden]),
      b: book.take('pooler.dense.bias', [head.width]),
      head: book.take('head.weight', [classes, head.width]),
      head_b: book.take('head.bias', [classes]),
    },
    output: { name: 'logits', shape: EACH_SEQUENCE.shape(classes.size) },
  });
}
