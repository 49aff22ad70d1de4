/**
 * From text to a model's inputs and from its outputs back to words: pure functions on arrays. Whoever runs the graph (the
 * interpreter, a device) stands between the two.
 */
import { CheckpointError } from '../errors.ts';
import { checkInputs, type Model } from '../families/model.ts';
import type { Encoding, Tokenizer } from '../tokenizer/index.ts';

/** Inputs and dims of the graph for a batch of texts. */
export interface FedText {
  readonly inputs: Readonly<Record<string, Int32Array>>;
  readonly dims: Readonly<Record<string, number>>;
  /** Where the masked-language-model head is read: indices into B·S of the mask token, in order. */
  readonly positions: readonly number[];
}

/** A word that may stand at a masked position. */
export interface Candidate {
  readonly id: number;
  readonly token: string;
  /** Softmax over the whole vocabulary. */
  readonly probability: number;
}

/** The best words for one masked position, best first. */
export interface MaskPrediction {
  /** Index of the text in the batch. */
  readonly text: number;
  /** Index of the token in the text. */
  readonly position: number;
  readonly candidates: readonly Candidate[];
}

/** A class and how sure the model is of it. */
export interface ClassScore {
  readonly label: string;
  /** The logit. */
  readonly score: number;
  /** Softmax over the classes; the sigmoid of the score where there is only one class. */
  readonly probability: number;
}

/** What a model says about a batch of texts, by its task. */
export type ReadOut =
  | { readonly kind: 'masked-lm'; readonly predictions: readonly MaskPrediction[] }
  /** One list a text, most probable class first. */
  | { readonly kind: 'classification'; readonly texts: readonly (readonly ClassScore[])[] }
  /** `similarity[i][j]`: cosine of the angle between texts i and j. */
  | { readonly kind: 'sentence-embedding'; readonly similarity: readonly (readonly number[])[] }
  | { readonly kind: 'encoder' };

/** A graph's outputs by name. */
export type ModelOutputs = Readonly<Record<string, ArrayLike<number>>>;

/**
 * Inputs for a model from tokenised texts.
 *
 * @throws CheckpointError M110 when the tokens don't fit the model: ids beyond its vocabulary, too long, no mask token where
 * the head runs only at asked positions
 */
export function feedText(
  model: Model,
  tokenized: Encoding,
  tokenizer: Pick<Tokenizer, 'maskId' | 'maskToken'>,
): FedText {
  const positions = maskPositions(tokenized.inputIds, tokenizer.maskId);
  const asked = model.graph.inputs.includes('positions');
  if (asked && positions.length === 0) {
    const hint = `Put ${tokenizer.maskToken} where a word is to be guessed.`;
    throw new CheckpointError('M110', `no text holds the mask token ${tokenizer.maskToken}`, {
      file: model.name,
      hint,
    });
  }
  const given = {
    input_ids: tokenized.inputIds,
    attention_mask: tokenized.attentionMask,
    ...(model.graph.inputs.includes('token_type_ids') ? { token_type_ids: tokenized.tokenTypeIds } : {}),
    ...(asked ? { positions } : {}),
  };
  return { ...checkInputs(model, tokenized, given), positions };
}

/**
 * What the outputs mean.
 *
 * @param tokenized what the inputs were made from
 * @param options.top words a masked position, default 5
 * @throws CheckpointError M111 for an output that is missing, of the wrong length, or NaN where it is read
 */
export function readOut(
  model: Model,
  outputs: ModelOutputs,
  tokenized: Encoding,
  tokenizer: Pick<Tokenizer, 'maskId' | 'tokenOf'>,
  options: { readonly top?: number } = {},
): ReadOut {
  const { batch, sequence } = tokenized;
  const read = (name: string, rows: number, width: number): ArrayLike<number> => {
    const values = outputs[model.outputs.get(name) ?? name];
    if (values !== undefined && values.length === rows * width) return values;
    const found = values === undefined ? 'is missing' : `has ${values.length} elements`;
    throw new CheckpointError('M111', `output ${name} ${found}, but ${rows} · ${width} are to be read`, {
      file: model.name,
    });
  };
  switch (model.task) {
    case 'encoder':
      return { kind: 'encoder' };
    case 'classification': {
      const labels = model.labels ?? [];
      const logits = read('logits', batch, labels.length);
      return { kind: 'classification', texts: rowsOf(logits, labels.length).map((row) => classScores(row, labels)) };
    }
    case 'sentence-embedding':
      return {
        kind: 'sentence-embedding',
        similarity: similarities(read('sentence_embedding', batch, model.hidden), model.hidden),
      };
    case 'masked-lm':
    case 'pretraining': {
      const positions = maskPositions(tokenized.inputIds, tokenizer.maskId);
      const asked = model.mlmPositions === 'asked';
      const logits = rowsOf(
        read('logits', asked ? positions.length : batch * sequence, model.vocabulary),
        model.vocabulary,
      );
      const predictions = positions.map((at, i): MaskPrediction => {
        const row = logits[asked ? i : at] ?? [];
        const probabilities = softmax(row);
        const candidates = topOf(row, options.top ?? 5).map((id) => ({
          id,
          token: tokenizer.tokenOf(id) ?? `#${id}`,
          probability: probabilities[id] as number,
        }));
        return { text: Math.floor(at / sequence), position: at % sequence, candidates };
      });
      return { kind: 'masked-lm', predictions };
    }
  }
}

/** Indices of the mask token in a batch of ids, in order. */
export function maskPositions(ids: ArrayLike<number>, maskId: number | undefined): readonly number[] {
  return Array.from(ids).flatMap((id, i) => (id === maskId ? [i] : []));
}

/**
 * exp(x) / Σ exp(x), safe for large x.
 *
 * @throws CheckpointError M111 for NaN or +∞
 */
export function softmax(row: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(row);
  const top = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (values.length > 0 && !Number.isFinite(top))
    throw new CheckpointError('M111', `the largest of ${values.length} scores is ${top}`);
  const exps = values.map((x) => Math.exp(x - top));
  const total = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / total);
}

/** Indices of the `count` largest elements, largest first; of equal ones the first. */
export function topOf(row: ArrayLike<number>, count: number): readonly number[] {
  return Array.from(row, (_, i) => i)
    .sort((a, b) => (row[b] as number) - (row[a] as number) || a - b)
    .slice(0, Math.max(0, count));
}

/**
 * The classes of one row of logits, most probable first.
 *
 * @throws CheckpointError M111 for NaN or +∞
 */
export function classScores(logits: ArrayLike<number>, labels: readonly string[]): readonly ClassScore[] {
  const probabilities = logits.length === 1 ? [1 / (1 + Math.exp(-(logits[0] as number)))] : softmax(logits);
  return topOf(logits, logits.length).map((i) => ({
    label: labels[i] ?? `LABEL_${i}`,
    score: logits[i] as number,
    probability: probabilities[i] as number,
  }));
}

/** Cosines between all rows of [n, width]; a zero row is at 0 to every other. */
export function similarities(embeddings: ArrayLike<number>, width: number): readonly (readonly number[])[] {
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  const rows = rowsOf(embeddings, width);
  const lengths = rows.map((row) => Math.sqrt(dot(row, row)));
  return rows.map((a, i) =>
    rows.map((b, j) => {
      const scale = (lengths[i] as number) * (lengths[j] as number);
      return scale === 0 ? 0 : dot(a, b) / scale;
    }),
  );
}

function rowsOf(values: ArrayLike<number>, width: number): readonly ArrayLike<number>[] {
  const all = Float64Array.from(values);
  return Array.from({ length: width === 0 ? 0 : all.length / width }, (_, i) =>
    all.subarray(i * width, (i + 1) * width),
  );
}
