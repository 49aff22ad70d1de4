/** Every value of config.json that is impossible or unsupported: the code, the key in full, what was found, what would do. */
import { describe, expect, test } from 'vitest';
import { CheckpointError, graphOf } from '../src/index.ts';
import {
  type BertOptions,
  bertDraft,
  type CrammedOptions,
  checkpointOf,
  configure,
  crammedDraft,
  type Draft,
} from './families-generator.ts';
import { caught, random } from './support.ts';

const bert = (options: BertOptions = {}): Draft => bertDraft(random(1), { layers: 1, ...options });
const crammed = (options: CrammedOptions = {}): Draft => crammedDraft(random(1), { layers: 1, ...options });

describe('config.json', () => {
  type Case = readonly [path: string, value: unknown, code: 'M100' | 'M101' | 'M102' | 'M109', says: string];

  const BERT: readonly Case[] = [
    ['model_type', 'roberta', 'M100', '"model_type" is the text "roberta"'],
    ['model_type', undefined, 'M100', '"model_type" is nothing'],
    ['model_type', 7, 'M100', '"model_type" is 7'],
    ['hidden_size', 0, 'M101', '"hidden_size" must be a whole number from 1'],
    ['hidden_size', 12.5, 'M101', 'not 12.5'],
    ['hidden_size', '12', 'M101', 'not the text "12"'],
    ['vocab_size', [17], 'M101', 'not a list'],
    ['num_hidden_layers', -1, 'M101', 'from 0'],
    ['num_attention_heads', 5, 'M101', 'is 5, which does not divide hidden_size, 12'],
    ['layer_norm_eps', 0, 'M101', 'a number above 0'],
    ['layer_norm_eps', 'small', 'M101', 'a number above 0'],
    ['hidden_act', 'quick_gelu', 'M102', 'an activation that is not supported'],
    ['hidden_act', 'toString', 'M102', 'an activation that is not supported'],
    ['position_embedding_type', 'relative_key', 'M102', 'only "absolute" is supported'],
    ['is_decoder', true, 'M102', 'only encoders'],
    ['add_cross_attention', true, 'M102', 'only encoders'],
    ['is_decoder', 'yes', 'M101', 'must be true or false'],
    ['pruned_heads', { '0': [1] }, 'M102', 'pruned'],
    ['architectures', ['BertForTokenClassification'], 'M102', 'names "BertForTokenClassification"'],
    ['architectures', [], 'M102', 'head is not supported'],
  ];
  for (const [path, value, code, says] of BERT) {
    test(`BERT: ${path} ${JSON.stringify(value)}`, async () => {
      const error = await caught(code, () => graphOf(checkpointOf(configure(bert(), path, value))));
      expect(error.message).toContain(says);
      expect(error.file).toBe('random-bert/config.json');
    });
  }

  const CRAMMED: readonly Case[] = [
    ['arch', undefined, 'M101', '"arch.'],
    ['arch', 3, 'M101', '"arch" must be an object, not 3'],
    ['arch.hidden_size', undefined, 'M101', '"arch.hidden_size" is missing'],
    ['arch.attention', undefined, 'M101', '"arch.attention.num_attention_heads" is missing'],
    ['arch.attention.num_attention_heads', 5, 'M101', 'does not divide hidden_size'],
    ['arch.attention.rotary_embedding', true, 'M102', 'rotary positions are not supported'],
    ['arch.attention.rotary_embedding', 'v2', 'M102', 'rotary positions are not supported'],
    ['arch.attention.causal_attention', true, 'M102', 'only attention over the whole sequence'],
    ['arch.attention.type', 'flash', 'M102', 'only "self-attention" is supported'],
    ['arch.attention.sequence_op', 'cumsum', 'M102', 'only "torch-softmax" is supported'],
    ['arch.embedding.embedding_dim', 10, 'M101', 'is 10, but hidden_size is 12'],
    ['arch.embedding.pos_embedding', 'rotary', 'M102', 'is "rotary", which is not supported'],
    ['arch.embedding.pos_embedding', undefined, 'M101', 'is missing'],
    ['arch.embedding.vocab_size', null, 'M101', '"arch.embedding.vocab_size" is missing'],
    ['arch.norm', 'BatchNorm1d', 'M102', 'a normalisation that is not supported'],
    ['arch.norm_scheme', 'post', 'M102', 'only "pre" is supported'],
    ['arch.nonlin', 'Hardswish', 'M102', 'an activation that is not supported'],
    ['arch.nonlin', 'GELUglu', 'M102', 'which a tree of neurons ("fff") cannot be'],
    ['arch.intermed_type', 'moe', 'M102', 'supported are "ff" and "fff"'],
    ['arch.intermed_depth', undefined, 'M101', 'is missing'],
    ['arch.intermed_depth', -1, 'M101', 'from 0'],
    ['arch.intermed_depth', 40, 'M101', 'at most 24'],
    ['arch.intermed_size', 0, 'M101', 'from 1'],
    ['architectures', ['ScriptableLMForTokenClassification'], 'M102', 'head is not supported'],
  ];
  for (const [path, value, code, says] of CRAMMED) {
    test(`crammedBERT: ${path} ${JSON.stringify(value)}`, async () => {
      const error = await caught(code, () => graphOf(checkpointOf(configure(crammed(), path, value))));
      expect(error.message).toContain(says);
    });
  }

  test('crammedBERT: an odd width with sinusoidal positions, an odd gated block', async () => {
    const odd = crammed({ hidden: 9, heads: 3, scheme: 'learned' });
    configure(odd, 'arch.embedding.pos_embedding', 'sinusoidal');
    expect((await caught('M101', () => graphOf(checkpointOf(odd)))).message).toContain('need an even width');
    const gated = configure(crammed({ block: { type: 'ff', middle: 9 } }), 'arch.nonlin', 'GELUglu');
    expect((await caught('M101', () => graphOf(checkpointOf(gated)))).message).toContain('halves it');
  });

  test('crammedBERT: the classifier', async () => {
    const without = configure(crammed({ head: 'classes' }), 'arch.classification_head.include_ff_layer', false);
    expect((await caught('M101', () => graphOf(checkpointOf(without)))).message).toContain(
      'it must be hidden_size, 12',
    );
    const pooler = configure(crammed({ head: 'classes' }), 'arch.classification_head.pooler', 'attention');
    await caught('M102', () => graphOf(checkpointOf(pooler)));
  });

  test('no config at all', async () => {
    await caught('M101', () => graphOf({ ...checkpointOf(bert()), config: undefined }));
    await caught('M101', () => graphOf({ ...checkpointOf(bert()), config: [] }));
    const error = await caught('M101', () => graphOf({ ...checkpointOf(bert()), folder: 'models/x', config: 3 }));
    expect(error.file).toBe('models/x/config.json');
  });

  test('keys that BertConfig has a default for may be absent', () => {
    const draft = bert();
    for (const key of ['hidden_act', 'layer_norm_eps', 'pad_token_id', 'position_embedding_type', 'type_vocab_size']) {
      configure(draft, key, undefined);
    }
    expect(graphOf(checkpointOf(draft)).tokenTypes).toBe(2);
  });
});

describe('hostile values', () => {
  const STRANGE: readonly unknown[] = [
    undefined,
    null,
    true,
    false,
    -1,
    0,
    1,
    1.5,
    1e-320,
    3000,
    2147483647,
    1e300,
    Number.NaN,
    '',
    'x',
    '12',
    [],
    [[]],
    {},
    { a: 1 },
  ];

  /** Paths of every value in a config, objects included. */
  function pathsOf(value: unknown, prefix = ''): readonly string[] {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return Object.entries(value).flatMap(([key, inner]) => [`${prefix}${key}`, ...pathsOf(inner, `${prefix}${key}.`)]);
  }

  const drafts: Readonly<Record<string, () => Draft>> = {
    bert: () => bert({ architecture: 'BertForSequenceClassification' }),
    'crammed trees': () => crammed(),
    'crammed dense': () => crammed({ block: { type: 'ff', middle: 8 }, head: 'classes' }),
  };
  for (const [name, make] of Object.entries(drafts)) {
    test(`${name}: whatever stands at a key, the answer is a model or a CheckpointError about it`, () => {
      let refused = 0;
      for (const path of pathsOf(make().config)) {
        for (const value of STRANGE) {
          try {
            graphOf(checkpointOf(configure(make(), path, value)));
          } catch (error) {
            expect(error, `${path} = ${String(value)}: ${String(error)}`).toBeInstanceOf(CheckpointError);
            expect((error as CheckpointError).message.length).toBeLessThan(2000);
            refused++;
          }
        }
      }
      expect(refused).toBeGreaterThan(100);
    });
  }

  test('a task that is none', async () => {
    const error = await caught('M108', () => graphOf(checkpointOf(bert()), { task: 'toString' as 'encoder' }));
    expect(error.hint).toContain('masked-lm');
  });
});
