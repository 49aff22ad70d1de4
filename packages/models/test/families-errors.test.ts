/** Every way in which a checkpoint can fail to be a model: what is said, where, and that nothing passes silently. */
import { describe, expect, test } from 'vitest';
import { graphOf, isLayerCollection, layerModels, type TensorView } from '../src/index.ts';
import {
  type BertOptions,
  bertDraft,
  type CrammedOptions,
  checkpointOf,
  configure,
  crammedDraft,
  type Draft,
  randomTensor,
  viewOf,
} from './families-generator.ts';
import { caught, random } from './support.ts';

const bert = (options: BertOptions = {}): Draft => bertDraft(random(1), { layers: 1, ...options });
const crammed = (options: CrammedOptions = {}): Draft => crammedDraft(random(1), { layers: 1, ...options });

/** Drafts that together hold every kind of tensor of the families. */
const DRAFTS: Readonly<Record<string, () => Draft>> = {
  BertModel: () => bert(),
  BertForPreTraining: () => bert({ architecture: 'BertForPreTraining', legacy: true }),
  BertForMaskedLM: () => bert({ architecture: 'BertForMaskedLM', decoder: 'own' }),
  BertForSequenceClassification: () => bert({ architecture: 'BertForSequenceClassification' }),
  'crammed trees': () => crammed(),
  'crammed dense': () =>
    crammed({
      block: { type: 'ff', middle: 8 },
      bias: true,
      qkvBias: true,
      decoderBias: true,
      transform: true,
      scheme: 'learned',
    }),
  'crammed gated, RMSNorm': () => crammed({ block: { type: 'ff', middle: 8 }, nonlin: 'SiLUglu', norm: 'RMSNorm' }),
  'crammed, ScaleNorm': () => crammed({ norm: 'ScaleNorm' }),
  'crammed classification': () => crammed({ head: 'classes' }),
};

/** A tensor that may be absent: buffers, tied copies, a pooler that decides whether there is one. */
const OPTIONAL = /position_ids$|^decoder\.weight$|^cls\.predictions\.decoder\.bias$/;
/** Heads whose absence is reported as M108, and what of a head decides that. */
const HEAD = /^(classifier|head)\.weight$/;

describe('for every tensor of every family', () => {
  for (const [name, make] of Object.entries(DRAFTS)) {
    const names = [...make().tensors.keys()].filter((tensor) => !OPTIONAL.test(tensor));

    test(`${name}: it is missing`, async () => {
      for (const tensor of names) {
        const draft = make();
        draft.tensors.delete(tensor);
        const error = await caught(HEAD.test(tensor) ? 'M108' : 'M103', () => graphOf(checkpointOf(draft)));
        expect(error.tensor).toBe(tensor);
        expect(error.message).toContain(`${draft.name}: tensor "${tensor}": is missing`);
      }
    });

    test(`${name}: it is misspelt`, async () => {
      for (const tensor of names.filter((n) => !HEAD.test(n))) {
        const draft = make();
        const wrong = tensor.replace(/\.(\w)(\w)/, '.$2$1');
        expect(wrong).not.toBe(tensor);
        draft.tensors.set(wrong, { ...(draft.tensors.get(tensor) as TensorView), name: wrong });
        draft.tensors.delete(tensor);
        const error = await caught('M103', () => graphOf(checkpointOf(draft)));
        expect(error.message).toContain(`the file has "${wrong}" (did you mean "${tensor}"?)`);
      }
    });

    test(`${name}: it has another shape`, async () => {
      for (const tensor of names) {
        const view = make().tensors.get(tensor) as TensorView;
        const shapes = [
          [...view.shape, 1],
          view.shape.map((size, i) => (i === view.shape.length - 1 ? size + 1 : size)),
        ].filter((shape) => shape.join() !== view.shape.join());
        for (const shape of shapes) {
          const draft = make();
          draft.tensors.set(tensor, randomTensor(random(2), tensor, shape));
          const error = await caught('M105', () => graphOf(checkpointOf(draft)));
          expect(error.tensor).toBe(tensor);
          expect(error.message).toContain(`has shape [${shape.join(', ')}], but config.json implies [`);
          expect(error.message).toContain(`] = [${view.shape.join(', ')}]`);
        }
      }
    });

    test(`${name}: it holds integers`, async () => {
      for (const tensor of names) {
        const draft = make();
        const { shape } = draft.tensors.get(tensor) as TensorView;
        const bytes = new Uint8Array(4 * shape.reduce((a, b) => a * b, 1));
        draft.tensors.set(tensor, { name: tensor, dtype: 'I32', shape, bytes });
        const error = await caught('M106', () => graphOf(checkpointOf(draft)));
        expect(error.message).toContain('holds I32');
      }
    });

    test(`${name}: there is one more`, async () => {
      const draft = make();
      draft.tensors.set('encoder.spare', viewOf('encoder.spare', [1], Float32Array.of(1)));
      const error = await caught('M104', () => graphOf(checkpointOf(draft)));
      expect(error.message).toContain('is not a tensor of this model');
    });
  }
});

describe('tensors', () => {
  test('a transposed matrix is recognised, with the formula', async () => {
    const draft = bert();
    const name = 'encoder.layer.0.intermediate.dense.weight';
    draft.tensors.set(name, randomTensor(random(2), name, [12, 20]));
    const error = await caught('M105', () => graphOf(checkpointOf(draft)));
    expect(error.message).toContain('[intermediate_size, hidden_size] = [20, 12]; the tensor looks transposed');
  });

  test('trees state their formula', async () => {
    const draft = configure(crammed(), 'arch.intermed_depth', 3);
    const error = await caught('M105', () => graphOf(checkpointOf(draft)));
    expect(error.message).toContain('[intermed_size·(2^(intermed_depth + 1) − 1), hidden_size] = [30, 12]');
    expect(error.message).toContain('has shape [14, 12]');
  });

  test('several missing tensors are listed, cut after eight', async () => {
    const error = await caught('M103', () => graphOf(checkpointOf(configure(bert(), 'num_hidden_layers', 2))));
    expect(error.message).toContain('so are 15 more');
    expect(error.message).toContain('and 7 more');
  });

  test('several unexpected tensors are listed', async () => {
    const error = await caught('M104', () => graphOf(checkpointOf(configure(bert(), 'num_hidden_layers', 0))));
    expect(error.message).toContain('neither are 15 more');
  });

  test('names are asked for as this file spells them', async () => {
    const draft = bert({ architecture: 'BertForPreTraining', legacy: true });
    draft.tensors.delete('bert.embeddings.LayerNorm.gamma');
    const error = await caught('M103', () => graphOf(checkpointOf(draft)));
    expect(error.tensor).toBe('bert.embeddings.LayerNorm.gamma');
  });

  test('one tensor under two names', async () => {
    const draft = bert();
    const name = 'embeddings.LayerNorm.gamma';
    draft.tensors.set(name, randomTensor(random(3), name, [12]));
    const error = await caught('M104', () => graphOf(checkpointOf(draft)));
    expect(error.message).toContain('means the same as "embeddings.LayerNorm.weight"');
  });

  test('biases that the config denies, and those it promises', async () => {
    const extra = await caught('M104', () =>
      graphOf(checkpointOf(configure(crammed({ qkvBias: true }), 'arch.attention.qkv_bias', false))),
    );
    expect(extra.tensor).toBe('encoder.layers.0.attn.self_attention.query_key_value.bias');
    const missing = await caught('M103', () => graphOf(checkpointOf(configure(crammed(), 'arch.decoder_bias', true))));
    expect(missing.tensor).toBe('decoder.bias');
  });

  test('known heads that the task does not use are ignored and listed; the rest of a file is not', () => {
    const model = graphOf(checkpointOf(bert({ architecture: 'BertForPreTraining' })), { task: 'encoder' });
    expect(model.ignored).toContain('cls.seq_relationship.weight');
    expect(model.ignored).toContain('bert.embeddings.position_ids');
    expect(model.ignored).toHaveLength(8);
    expect(graphOf(checkpointOf(bert())).ignored).toEqual(['embeddings.position_ids']);
  });

  test('names that torch.compile wrote', () => {
    const draft = crammed();
    const renamed = new Map(
      [...draft.tensors].map(([name, view]) => [`_orig_mod.${name}`, { ...view, name: `_orig_mod.${name}` }]),
    );
    expect(graphOf({ ...checkpointOf(draft), tensors: renamed }).layers).toBe(1);
  });
});

describe('tied tensors', () => {
  const changed = (draft: Draft, name: string): Draft => {
    const { shape } = draft.tensors.get(name) as TensorView;
    draft.tensors.set(name, randomTensor(random(4), name, shape));
    return draft;
  };

  test('crammedBERT: a decoder that differs is an error', async () => {
    const error = await caught('M107', () => graphOf(checkpointOf(changed(crammed(), 'decoder.weight'))));
    expect(error.tensor).toBe('decoder.weight');
    expect(error.message).toContain('is tied to "encoder.embedding.word_embedding.weight", but element 0 is ');
  });

  test('crammedBERT: tie_weights false allows it', () => {
    const draft = configure(changed(crammed(), 'decoder.weight'), 'arch.tie_weights', false);
    expect(graphOf(checkpointOf(draft)).graph.weights.has('decoder.weight')).toBe(true);
  });

  test('BERT: a decoder that differs is an error unless the config unties it', async () => {
    const draft = changed(
      bert({ architecture: 'BertForMaskedLM', decoder: 'stored' }),
      'cls.predictions.decoder.weight',
    );
    const error = await caught('M107', () => graphOf(checkpointOf(draft)));
    expect(error.hint).toContain('tie_word_embeddings');
    configure(draft, 'tie_word_embeddings', false);
    expect(graphOf(checkpointOf(draft)).graph.weights.has('cls.predictions.decoder.weight')).toBe(true);
  });

  test('BERT: two different biases', async () => {
    const draft = changed(bert({ architecture: 'BertForMaskedLM', decoder: 'stored' }), 'cls.predictions.decoder.bias');
    await caught('M107', () => graphOf(checkpointOf(draft)));
  });

  test('BERT: the bias only under its other name', () => {
    const draft = bert({ architecture: 'BertForMaskedLM', decoder: 'stored' });
    draft.tensors.delete('cls.predictions.bias');
    expect(graphOf(checkpointOf(draft)).graph.weights.has('cls.predictions.decoder.bias')).toBe(true);
  });

  test('a copy in half precision counts as equal when its numbers are', () => {
    const draft = crammed({ hidden: 2, vocabulary: 2, heads: 1 });
    const word = 'encoder.embedding.word_embedding.weight';
    draft.tensors.set(word, viewOf(word, [2, 2], Float32Array.of(1, 0, 2, -0)));
    const halves = Uint16Array.of(0x3c00, 0x0000, 0x4000, 0x0000);
    draft.tensors.set('decoder.weight', {
      name: 'decoder.weight',
      dtype: 'F16',
      shape: [2, 2],
      bytes: new Uint8Array(halves.buffer),
    });
    expect(graphOf(checkpointOf(draft)).vocabulary).toBe(2);
  });
});

describe('tasks', () => {
  test('without architectures, the tensors say', () => {
    const task = (draft: Draft): string => graphOf(checkpointOf(configure(draft, 'architectures', undefined))).task;
    expect(task(bert())).toBe('encoder');
    expect(task(bert({ architecture: 'BertForMaskedLM' }))).toBe('masked-lm');
    expect(task(bert({ architecture: 'BertForPreTraining' }))).toBe('pretraining');
    expect(task(bert({ architecture: 'BertForSequenceClassification' }))).toBe('classification');
    expect(task(crammed({ head: 'none' }))).toBe('encoder');
    expect(task(crammed({ storeDecoder: false }))).toBe('masked-lm');
    expect(task(crammed({ head: 'classes' }))).toBe('classification');
  });

  test('the SCRIPT objective always has a transform', () => {
    const draft = configure(crammed({ transform: true }), 'arch.skip_head_transform', true);
    configure(draft, 'architectures', ['ScriptableLMForSCRIPTTraining']);
    const { graph } = graphOf(checkpointOf(draft));
    expect(graph.nodes.at(-1)?.layer.name).toBe('mlm_head');
  });

  test('a head that is not there', async () => {
    for (const task of ['masked-lm', 'pretraining', 'classification'] as const) {
      const error = await caught('M108', () => graphOf(checkpointOf(bert()), { task }));
      expect(error.message).toContain(`has no ${task === 'pretraining' ? 'masked-lm' : task} head`);
    }
    await caught('M103', () =>
      graphOf(checkpointOf(bert({ architecture: 'BertForMaskedLM' })), { task: 'pretraining' }),
    );
    await caught('M108', () => graphOf(checkpointOf(crammed()), { task: 'classification' }));
    await caught('M108', () => graphOf(checkpointOf(crammed()), { task: 'pretraining' }));
  });

  test('an unsupported head can still be used as encoder', () => {
    const draft = configure(bert(), 'architectures', ['BertForQuestionAnswering']);
    draft.tensors.set('qa_outputs.weight', randomTensor(random(5), 'qa_outputs.weight', [2, 12]));
    draft.tensors.set('qa_outputs.bias', randomTensor(random(5), 'qa_outputs.bias', [2]));
    expect(graphOf(checkpointOf(draft), { task: 'encoder' }).ignored).toContain('qa_outputs.weight');
  });
});

describe('labels', () => {
  const classes = (id2label: unknown): Draft =>
    configure(bert({ architecture: 'BertForSequenceClassification', classes: 3 }), 'id2label', id2label);

  test('from id2label, or LABEL_n', () => {
    expect(graphOf(checkpointOf(classes({ '0': 'a', '2': 'c', '1': 'b' }))).labels).toEqual(['a', 'b', 'c']);
    expect(graphOf(checkpointOf(classes(undefined))).labels).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2']);
    expect(graphOf(checkpointOf(crammed({ head: 'classes', classes: 2 }))).labels).toEqual(['LABEL_0', 'LABEL_1']);
    expect(graphOf(checkpointOf(bert())).labels).toBeUndefined();
  });

  test('too few, misnumbered, no texts, no object', async () => {
    const wrong: readonly (readonly [unknown, string])[] = [
      [{ '0': 'a', '1': 'b' }, "names 2 labels, but the head's weights have 3 classes"],
      [{ '1': 'a', '2': 'b', '3': 'c' }, 'has no text for class 0'],
      [{ '0': 'a', '1': 2, '2': 'c' }, 'has no text for class 1'],
      [['a', 'b', 'c'], 'must be an object, not a list'],
    ];
    for (const [id2label, says] of wrong) {
      expect((await caught('M109', () => graphOf(checkpointOf(classes(id2label))))).message).toContain(says);
    }
  });
});

describe('layer collections', () => {
  const collection = (
    config: Record<string, unknown>,
    tensors: readonly TensorView[] = [],
  ): Parameters<typeof layerModels>[0] => ({
    name: 'collection',
    config,
    tensors: new Map(tensors.map((view) => [view.name, view])),
  });
  const ff = { name: 'a', kind: 'ff', hidden_size: 4, intermed_size: 5, bias: false };
  const matrices = [
    randomTensor(random(1), 'a.dense_in.weight', [5, 4]),
    randomTensor(random(1), 'a.dense_out.weight', [4, 5]),
  ];

  test('is recognised, and refused as a model', async () => {
    expect(isLayerCollection({ model_type: 'layers' })).toBe(true);
    expect(isLayerCollection({ model_type: 'bert' })).toBe(false);
    expect(isLayerCollection(undefined)).toBe(false);
    const error = await caught('M100', () => graphOf(collection({ model_type: 'layers', layers: [] })));
    expect(error.hint).toContain('layerModels');
    await caught('M100', () => layerModels(checkpointOf(bert())));
  });

  test('one layer', () => {
    const [layer] = layerModels(collection({ model_type: 'layers', layers: [ff] }, matrices));
    expect(layer?.graph.weights.size).toBe(2);
    expect(layer?.width).toBe(4);
  });

  test('what can be wrong', async () => {
    const wrong: readonly (readonly [
      'M101' | 'M102' | 'M103' | 'M104' | 'M105',
      unknown,
      readonly TensorView[],
      string,
    ])[] = [
      ['M101', undefined, matrices, '"layers" must be a list'],
      ['M101', [3], matrices, '"layers[0]" must be an object'],
      ['M102', [{ ...ff, kind: 'toString' }], matrices, '"layers[0].kind" is "toString"'],
      ['M101', [{ ...ff, hidden_size: 0 }], matrices, '"layers[0].hidden_size"'],
      ['M103', [{ ...ff, bias: true }], matrices, 'a.dense_in.bias'],
      ['M103', [ff], matrices.slice(1), 'a.dense_in.weight'],
      ['M104', [], matrices, 'a.dense_in.weight'],
      ['M105', [{ ...ff, hidden_size: 3 }], matrices, '[intermed_size, hidden_size] = [5, 3]'],
    ];
    for (const [code, layers, tensors, says] of wrong) {
      const error = await caught(code, () => layerModels(collection({ model_type: 'layers', layers }, tensors)));
      expect(error.message).toContain(says);
    }
  });
});
