/** What a model says about texts, from the outputs of a run: words for masks, classes, or similarities. */
import { readOut, similarities } from '@espalier/models';
import type { Case } from '../cases/case.ts';
import type { Said, SaidLine } from '../reports/data.ts';
import type { Run } from './run.ts';

/** Words shown for a mask. */
const TOP = 5;

/** What the run says; null for a case without texts. Throws CheckpointError M111 for outputs that cannot be read. */
export function whatItSays(one: Case, run: Run): Said | null {
  const { text, subject } = one;
  const { model } = subject;
  if (text === null || model === null) return null;
  const outputs: Record<string, ArrayLike<number>> = {};
  for (const tensor of new Set(model.outputs.values())) {
    const values = run.tensor(tensor);
    if (values !== undefined) outputs[tensor] = values;
  }
  const said = readOut(model, outputs, text.encoding, text.tokenizer, { top: TOP });
  const of = (i: number): string => text.texts[i] ?? '';
  switch (said.kind) {
    case 'masked-lm': {
      const lines = text.texts.map(
        (line, i): SaidLine => ({
          text: line,
          answers: said.predictions
            .filter((prediction) => prediction.text === i)
            .map(({ candidates }) => candidates.map(({ token, probability }) => ({ word: token, value: probability }))),
        }),
      );
      return { kind: 'masked-lm', target: run.name, lines };
    }
    case 'classification':
      return {
        kind: 'classification',
        target: run.name,
        lines: said.texts.map((scores, i) => ({
          text: of(i),
          answers: [scores.map(({ label, probability }) => ({ word: label, value: probability }))],
        })),
      };
    case 'sentence-embedding':
      return similarityOf(said.similarity);
    case 'encoder': {
      const pooled = pooledStates(one, run);
      return pooled === null ? null : similarityOf(similarities(pooled, model.hidden));
    }
  }

  function similarityOf(similarity: readonly (readonly number[])[]): Said {
    const lines = similarity.map((row, i) => ({
      text: of(i),
      answers: [row.flatMap((value, j) => (j === i ? [] : [{ word: of(j), value }]))],
    }));
    return { kind: 'sentence-embedding', target: run.name, lines };
  }
}

/** The mean of the last hidden states over unmasked tokens: what an encoder without a head can be asked for. */
function pooledStates(one: Case, run: Run): Float64Array | null {
  const { text, subject } = one;
  const states = run.tensor(subject.model?.outputs.get('last_hidden_state') ?? '');
  if (text === null || states === undefined) return null;
  const { batch, sequence, attentionMask } = text.encoding;
  const width = states.length / (batch * sequence);
  const pooled = new Float64Array(batch * width);
  for (let b = 0; b < batch; b++) {
    const row = attentionMask.subarray(b * sequence, (b + 1) * sequence);
    const count = row.reduce((a, x) => a + x, 0);
    for (let s = 0; s < sequence; s++)
      for (let d = 0; d < width && row[s] === 1; d++)
        pooled[b * width + d] =
          (pooled[b * width + d] as number) + (states[(b * sequence + s) * width + d] as number) / count;
  }
  return pooled;
}
