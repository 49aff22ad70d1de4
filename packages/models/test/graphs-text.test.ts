/** From text to words and classes: the bundled models end to end in the interpreter, and the reading functions on their own. */
import { readFileSync } from 'node:fs';
import { interpretGraph } from '@espalier/ir';
import { describe, expect, test } from 'vitest';
import {
  type ClassScore,
  checkInputs,
  classScores,
  feedText,
  graphOf,
  loadTokenizer,
  type MaskPrediction,
  type ModelOutputs,
  maskPositions,
  openCheckpoint,
  readOut,
  similarities,
  softmax,
  topOf,
} from '../src/index.ts';
import { bertDraft, checkpointOf, crammedDraft } from './families-generator.ts';
import { BUNDLED, model as bundled, caught, random } from './support.ts';

interface Golden {
  readonly texts: readonly string[];
  readonly top5?: readonly (readonly string[])[];
  readonly probabilities?: readonly (readonly number[])[];
}

describe('the bundled models say what the originals said', () => {
  for (const name of BUNDLED) {
    for (const mlmPositions of ['all', 'asked'] as const) {
      test(`${name}, head at ${mlmPositions} positions`, async () => {
        const golden = JSON.parse(readFileSync(bundled(`${name}/golden.json`), 'utf8')) as Golden;
        const checkpoint = await openCheckpoint(bundled(name));
        const tokenizer = loadTokenizer(checkpoint);
        const model = graphOf(checkpoint, { mlmPositions, outputs: 'final' });
        const tokenized = tokenizer.encode(golden.texts);
        const fed = feedText(model, tokenized, tokenizer);
        const { tensors } = interpretGraph(model.graph, { dims: fed.dims, inputs: fed.inputs });
        const outputs: ModelOutputs = Object.fromEntries(tensors);
        const read = readOut(model, outputs, tokenized, tokenizer);
        if (read.kind === 'masked-lm') {
          const words = read.predictions.map((p: MaskPrediction) => p.candidates.map((c) => c.token));
          expect(words).toEqual(golden.top5);
          expect(read.predictions.map((p) => p.text)).toEqual(golden.texts.map((_, i) => i));
        } else if (read.kind === 'classification') {
          read.texts.forEach((classes, i) => {
            for (const [k, label] of ['ham', 'spam'].entries()) {
              const found = classes.find((c: ClassScore) => c.label === label)?.probability;
              expect(found).toBeCloseTo(golden.probabilities?.[i]?.[k] ?? Number.NaN, 6);
            }
          });
        } else {
          expect.unreachable(read.kind);
        }
      });
    }
  }

  test('a sentence embedding is 1 long, most like itself, and blind to padding', async () => {
    const checkpoint = await openCheckpoint(bundled('tiny-bert'));
    const tokenizer = loadTokenizer(checkpoint);
    const model = graphOf(checkpoint, { task: 'embedding', outputs: 'final' });
    const embed = (
      texts: readonly string[],
    ): { readonly rows: Float64Array; readonly similarity: readonly (readonly number[])[] } => {
      const tokenized = tokenizer.encode(texts);
      const { dims, inputs } = feedText(model, tokenized, tokenizer);
      const { tensors } = interpretGraph(model.graph, { dims, inputs });
      const read = readOut(model, Object.fromEntries(tensors), tokenized, tokenizer);
      if (read.kind !== 'sentence-embedding') throw new Error(read.kind);
      return { rows: tensors.get('sentence_embedding') as Float64Array, similarity: read.similarity };
    };
    const [short, long] = ['the war was over.', 'she opened the door, walked into the room and looked at the table.'];
    const { rows, similarity } = embed([short, long]);
    const lengths = [0, 1].map((i) => Math.hypot(...rows.slice(i * model.hidden, (i + 1) * model.hidden)));
    for (const length of lengths) expect(length).toBeCloseTo(1, 12);
    expect(similarity[0]?.[0]).toBeCloseTo(1, 12);
    expect(similarity[0]?.[1]).toBe(similarity[1]?.[0]);
    expect(similarity[0]?.[1]).toBeLessThan(0.999);
    const alone = embed([short]).rows;
    expect(Math.max(...alone.map((x, i) => Math.abs(x - (rows[i] as number))))).toBeLessThan(1e-12);
  });
});

describe('reading', () => {
  const tokenizer = { maskId: 4, maskToken: '[MASK]', tokenOf: (id: number) => `w${id}` };
  const encoding = (ids: readonly (readonly number[])[]) => ({
    inputIds: Int32Array.from(ids.flat()),
    attentionMask: new Int32Array(ids.flat().length).fill(1),
    tokenTypeIds: new Int32Array(ids.flat().length),
    batch: ids.length,
    sequence: ids[0]?.length ?? 0,
    tokens: ids.map((row) => row.map((id) => `w${id}`)),
  });

  test('softmax is safe for large and equal scores and refuses NaN', async () => {
    expect([...softmax([1000, 1000, 1000, 1000])]).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect([...softmax([Number.NEGATIVE_INFINITY, 0])]).toEqual([0, 1]);
    expect([...softmax([])]).toEqual([]);
    const next = random(5);
    const row = Array.from({ length: 37 }, () => 30 * next() - 15);
    expect(softmax(row).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 14);
    await caught('M111', () => softmax([1, Number.NaN]));
    await caught('M111', () => softmax([Number.POSITIVE_INFINITY, 1]));
  });

  test('topOf: largest first, equal ones in order', () => {
    expect(topOf([3, 9, 9, 1], 3)).toEqual([1, 2, 0]);
    expect(topOf([3, 1], 9)).toEqual([0, 1]);
    expect(topOf([3, 1], 0)).toEqual([]);
  });

  test('one class: the sigmoid', () => {
    expect(classScores([0], ['only'])).toEqual([{ label: 'only', score: 0, probability: 0.5 }]);
  });

  test('similarities: cosines, 0 for a zero row', () => {
    expect(similarities([3, 4, 6, 8, 0, 0, -3, -4], 2)).toEqual([
      [1, 1, 0, -1],
      [1, 1, 0, -1],
      [0, 0, 0, 0],
      [-1, -1, 0, 1],
    ]);
  });

  test('mask positions; several in a text; asked and all rows agree', () => {
    expect(maskPositions([4, 1, 4], 4)).toEqual([0, 2]);
    expect(maskPositions([4, 1, 4], undefined)).toEqual([]);
    const draft = checkpointOf(bertDraft(random(8), { architecture: 'BertForMaskedLM' }));
    const tokenized = encoding([
      [1, 4, 4],
      [4, 2, 3],
    ]);
    const texts = (['all', 'asked'] as const).map((mlmPositions) => {
      const model = graphOf(draft, { mlmPositions });
      const fed = feedText(model, tokenized, tokenizer);
      expect(fed.positions).toEqual([1, 2, 3]);
      const { tensors } = interpretGraph(model.graph, { dims: fed.dims, inputs: fed.inputs });
      return readOut(model, Object.fromEntries(tensors), tokenized, tokenizer, { top: 2 });
    });
    expect(texts[0]).toEqual(texts[1]);
    const first = texts[0];
    if (first?.kind !== 'masked-lm') throw new Error(first?.kind);
    expect(first.predictions.map((p) => [p.text, p.position, p.candidates.length])).toEqual([
      [0, 1, 2],
      [0, 2, 2],
      [1, 0, 2],
    ]);
  });

  test('an encoder has nothing to say', () => {
    const model = graphOf(checkpointOf(bertDraft(random(9))));
    expect(readOut(model, {}, encoding([[1]]), tokenizer)).toEqual({ kind: 'encoder' });
  });

  test('missing, short and NaN outputs are errors', async () => {
    const model = graphOf(checkpointOf(crammedDraft(random(10), { head: 'classes' })));
    const tokenized = encoding([[1, 2]]);
    const error = await caught('M111', () => readOut(model, {}, tokenized, tokenizer));
    expect(error.message).toContain('output logits is missing');
    await caught('M111', () => readOut(model, { logits: [1, 2] }, tokenized, tokenizer));
    await caught('M111', () => readOut(model, { logits: [1, 2, Number.NaN] }, tokenized, tokenizer));
  });

  test('no mask token where the head runs only where asked', async () => {
    const model = graphOf(checkpointOf(crammedDraft(random(11))), { mlmPositions: 'asked' });
    const error = await caught('M110', () => feedText(model, encoding([[1, 2]]), tokenizer));
    expect(error.message).toContain('[MASK]');
  });
});

describe('inputs are checked before anything runs', () => {
  const model = graphOf(checkpointOf(bertDraft(random(12))));
  const shape = { batch: 2, sequence: 3 };
  const ids = [1, 2, 3, 4, 5, 16];

  test('defaults: nothing masked, all of the first type', () => {
    const { inputs, dims } = checkInputs(model, shape, { input_ids: ids });
    expect(dims).toEqual({ B: 2, S: 3 });
    expect(inputs['attention_mask']).toEqual(Int32Array.of(1, 1, 1, 1, 1, 1));
    expect(inputs['token_type_ids']).toEqual(new Int32Array(6));
  });

  const wrong: readonly (readonly [string, typeof shape, Record<string, number[]>, string])[] = [
    [
      'an id beyond the vocabulary',
      shape,
      { input_ids: [1, 2, 3, 4, 17, 0] },
      'input_ids: element 4 (sequence 1, position 1) is 17',
    ],
    ['a negative id', shape, { input_ids: [1, -1, 3, 4, 1, 0] }, 'is -1; it must be a whole number from 0 to 16'],
    ['half an id', shape, { input_ids: [1, 0.5, 3, 4, 1, 0] }, 'is 0.5'],
    ['NaN as id', shape, { input_ids: [1, Number.NaN, 3, 4, 1, 0] }, 'is NaN'],
    [
      'a mask that is no mask',
      shape,
      { input_ids: ids, attention_mask: [1, 2, 1, 1, 1, 1] },
      'attention_mask: element 1',
    ],
    [
      'an unknown token type',
      shape,
      { input_ids: ids, token_type_ids: [0, 0, 2, 0, 0, 0] },
      'token_type_ids: element 2',
    ],
    ['too few ids', shape, { input_ids: [1] }, 'input_ids has 1 elements, but 2 · 3 = 6 are needed'],
    ['no ids', shape, {}, 'input_ids is missing'],
    ['an unknown input', shape, { input_ids: ids, inputs_embeds: [1] }, 'no input inputs_embeds'],
    [
      'too long a sequence',
      { batch: 1, sequence: 10 },
      { input_ids: ids },
      'sequences of 10 tokens, but the model has 9 positions',
    ],
    ['an empty batch', { batch: 0, sequence: 3 }, { input_ids: [] }, 'empty or impossible'],
    ['an empty sequence', { batch: 1, sequence: 0 }, { input_ids: [] }, 'empty or impossible'],
  ];
  for (const [name, size, inputs, text] of wrong) {
    test(name, async () => {
      expect((await caught('M110', () => checkInputs(model, size, inputs))).message).toContain(text);
    });
  }

  test('a position outside the batch', async () => {
    const asked = graphOf(checkpointOf(crammedDraft(random(13))), { mlmPositions: 'asked' });
    const error = await caught('M110', () => checkInputs(asked, shape, { input_ids: ids, positions: [0, 6] }));
    expect(error.message).toContain('positions: element 1 is 6; it must be a whole number from 0 to 5');
    expect(checkInputs(asked, shape, { input_ids: ids, positions: [] }).dims).toEqual({ B: 2, S: 3, P: 0 });
  });

  test('token types are ignored where the family has none; positions are not', async () => {
    const crammed = graphOf(checkpointOf(crammedDraft(random(14))));
    expect(Object.keys(checkInputs(crammed, shape, { input_ids: ids, token_type_ids: ids }).inputs)).toEqual([
      'input_ids',
      'attention_mask',
    ]);
    await caught('M110', () => checkInputs(crammed, shape, { input_ids: ids, positions: [1] }));
  });
});
