/** Tokenizers: ids equal to the original programs', from tokenizer.json and from vocab.txt alike, for any text. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createTokenizer,
  loadTokenizer,
  openCheckpoint,
  readSafetensors,
  type Tokenizer,
  toInt32,
} from '../src/index.ts';
import { BUNDLED, caught, model, random, temporaryFolder } from './support.ts';

const vocabTxt = readFileSync(model('tiny-bert/vocab.txt'), 'utf8');
const tokenizerJson = JSON.parse(readFileSync(model('tiny-bert/tokenizer.json'), 'utf8')) as Record<string, unknown>;
const tokenizerConfig = JSON.parse(readFileSync(model('tiny-bert/tokenizer_config.json'), 'utf8')) as Record<
  string,
  unknown
>;

const both: readonly (readonly [string, Tokenizer])[] = [
  ['tokenizer.json', createTokenizer({ tokenizerJson, tokenizerConfig })],
  ['vocab.txt', createTokenizer({ vocabTxt, tokenizerConfig })],
];

describe.each(BUNDLED)('%s', (name) => {
  it('gives the ids and mask of the original program, from either kind of file', async () => {
    const checkpoint = await openCheckpoint(model(name));
    const golden = readSafetensors(readFileSync(model(`${name}/golden.safetensors`))).tensors;
    const { texts } = JSON.parse(readFileSync(model(`${name}/golden.json`), 'utf8')) as { texts: string[] };
    const { vocabTxt: path, tokenizerConfig: config } = checkpoint.tokenizerFiles;
    if (path === undefined || config === undefined) throw new Error('files are missing');
    for (const tokenizer of [loadTokenizer(checkpoint), loadTokenizer({ vocabTxt: path, tokenizerConfig: config })]) {
      const encoding = tokenizer.encode(texts);
      const ids = golden.get('input_ids');
      const mask = golden.get('attention_mask');
      expect(ids?.shape).toEqual([encoding.batch, encoding.sequence]);
      expect(ids && toInt32(ids)).toEqual(encoding.inputIds);
      expect(mask && toInt32(mask)).toEqual(encoding.attentionMask);
      expect(tokenizer.vocabularySize).toBe(4096);
      expect(tokenizer.maxTokens).toBe(128);
    }
  });
});

describe.each(both)('from %s', (_, tokenizer) => {
  const tokens = (text: string) => tokenizer.encode([text]).tokens[0]?.slice(1, -1);

  it('pads a batch to its longest text', () => {
    const { inputIds, attentionMask, tokenTypeIds, batch, sequence, tokens } = tokenizer.encode(['the man', '', 'the']);
    expect([batch, sequence]).toEqual([3, 4]);
    const [the, man] = ['the', 'man'].map((token) => tokenizer.idOf(token) ?? -1) as [number, number];
    expect([...inputIds]).toEqual([2, the, man, 3, 2, 3, 0, 0, 2, the, 3, 0]);
    expect([...attentionMask]).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0]);
    expect([...tokenTypeIds]).toEqual(new Array(12).fill(0));
    expect(tokens).toEqual([
      ['[CLS]', 'the', 'man', '[SEP]'],
      ['[CLS]', '[SEP]'],
      ['[CLS]', 'the', '[SEP]'],
    ]);
  });

  it('takes no texts at all', () => {
    expect(tokenizer.encode([])).toEqual({
      inputIds: new Int32Array(0),
      attentionMask: new Int32Array(0),
      tokenTypeIds: new Int32Array(0),
      batch: 0,
      sequence: 0,
      tokens: [],
    });
  });

  it('knows pairs', () => {
    const { tokens, tokenTypeIds } = tokenizer.encode(['the man', 'the'], { pairs: ['of', ''] });
    expect(tokens).toEqual([
      ['[CLS]', 'the', 'man', '[SEP]', 'of', '[SEP]'],
      ['[CLS]', 'the', '[SEP]', '[SEP]'],
    ]);
    expect([...tokenTypeIds]).toEqual([0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0]);
  });

  it('finds special tokens in texts, exactly as written', () => {
    expect(tokens('the[MASK]of [mask] [SEP]')).toEqual([
      'the',
      '[MASK]',
      'of',
      '[',
      ...(tokens('mask') ?? []),
      ']',
      '[SEP]',
    ]);
    expect(tokenizer.maskToken).toBe('[MASK]');
    expect(tokenizer.maskId).toBe(4);
    expect(tokenizer.padId).toBe(0);
  });

  it('lowercases, strips accents, drops control characters and sets ideographs apart', () => {
    expect(tokens('ThÉ MÁN')).toEqual(['the', 'man']);
    expect(tokens('the\u0301 man\u0308')).toEqual(['the', 'man']);
    expect(tokens('t\u0000h\ufffde\u200d\u0007 ma\u00adn')).toEqual(['the', 'man']);
    expect(tokens('the\tman\r\nthe\u00a0man\u2003the')).toEqual(['the', 'man', 'the', 'man', 'the']);
    expect(tokens('the中文man')).toEqual(['the', '[UNK]', '[UNK]', 'man']);
    expect(tokens('the𠀀𠀁man')).toEqual(['the', '[UNK]', '[UNK]', 'man']);
    expect(tokens('the 👩‍🚀 man 🇩🇪')).toEqual(['the', '[UNK]', 'man', '[UNK]']);
    expect(tokens('the,man…"the"')).toEqual(['the', ',', 'man', '[UNK]', '"', 'the', '"']);
    expect(tokens(' \u0000\u200b\n')).toEqual([]);
    expect(tokens('\ud800the\udfff')).toEqual(['the']);
    expect(tokens('a'.repeat(101))).toEqual(['[UNK]']);
  });

  it('refuses a text longer than the model unless asked to cut it', async () => {
    const long = 'the '.repeat(200);
    const error = await caught('M032', () => tokenizer.encode(['the', long]));
    expect(error.message).toContain('text 1 has 202 tokens, the model has 128 positions');
    const fits = tokenizer.encode(['the '.repeat(126)]);
    expect(fits.sequence).toBe(128);
    await caught('M032', () => tokenizer.encode(['the '.repeat(127)]));
    const cut = tokenizer.encode([long, 'the'], { truncate: true });
    expect(cut.sequence).toBe(128);
    expect(cut.tokens[0]?.at(-1)).toBe('[SEP]');
    expect(tokenizer.encode(['the man of'], { maxLength: 4 }).tokens).toEqual([['[CLS]', 'the', 'man', '[SEP]']]);
    expect(tokenizer.encode(['the man of'], { maxLength: 2 }).tokens).toEqual([['[CLS]', '[SEP]']]);
    const pair = tokenizer.encode(['the man of the man'], { pairs: ['of the'], maxLength: 7 });
    expect(pair.tokens).toEqual([['[CLS]', 'the', 'man', '[SEP]', 'of', 'the', '[SEP]']]);
    await caught('M032', () => tokenizer.encode(['the'], { maxLength: 129 }));
    await caught('M032', () => tokenizer.encode(['the'], { maxLength: 1 }));
    for (const maxLength of [0, -1, 2.5, Number.NaN])
      await caught('M033', () => tokenizer.encode(['x'], { maxLength }));
  });

  it('decodes', async () => {
    const { inputIds } = tokenizer.encode(['The man, of the [MASK]!']);
    expect(tokenizer.decode(inputIds)).toBe('the man, of the!');
    expect(tokenizer.decode(inputIds, { keepSpecial: true })).toBe('[CLS] the man, of the [MASK]! [SEP]');
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([2, 3])).toBe('');
    for (const id of [4096, -1, 1.5]) await caught('M033', () => tokenizer.decode([2, id]));
  });

  it('gives every token its id back', () => {
    for (let id = 0; id < tokenizer.vocabularySize; id++) {
      const token = tokenizer.tokenOf(id);
      if (token === undefined || tokenizer.idOf(token) !== id) throw new Error(`id ${id} is ${token}`);
    }
    expect(tokenizer.idOf('no such token')).toBeUndefined();
    expect(tokenizer.tokenOf(4096)).toBeUndefined();
  });

  it('refuses what is no text', async () => {
    const encode = tokenizer.encode as (...values: unknown[]) => unknown;
    await caught('M033', () => encode('one text'));
    await caught('M033', () => encode(['a', 1]));
    await caught('M033', () => encode([undefined]));
    await caught('M033', () => encode(['a'], { pairs: [] }));
  });
});

describe('both files agree', () => {
  it('on random texts of many scripts', () => {
    const next = random(50);
    const ranges = [
      0x20, 0x7f, 0xc0, 0x17f, 0x300, 0x36f, 0x391, 0x3c9, 0x400, 0x45f, 0x4e00, 0x4e20, 0x2000, 0x206f, 0x1f600,
      0x1f640, 0x0, 0x1f,
    ];
    const [json, vocab] = both.map(([, tokenizer]) => tokenizer) as [Tokenizer, Tokenizer];
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: Math.floor(next() * 40) }, () => {
        const at = 2 * Math.floor((next() * ranges.length) / 2);
        const [low = 0, high = 0] = next() < 0.5 ? [0x61, 0x7a] : ranges.slice(at, at + 2);
        return next() < 0.03 ? '[MASK]' : String.fromCodePoint(low + Math.floor(next() * (high - low + 1)));
      }).join('');
      expect(vocab.encode([text]), JSON.stringify(text)).toEqual(json.encode([text]));
    }
  });
});

describe('tokenizer_config.json', () => {
  const small = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    '[MASK]',
    'the',
    'The',
    'é',
    'e',
    'É',
    '中',
    '##中',
    'σ',
    '##σ',
  ].join('\n');
  const first = (config: Record<string, unknown>, text: string) =>
    createTokenizer({ vocabTxt: small, tokenizerConfig: config }).encode([text]).tokens[0]?.slice(1, -1);

  it('rules casing, accents and ideographs', () => {
    expect(first({ do_lower_case: true }, 'The É')).toEqual(['the', 'e']);
    expect(first({ do_lower_case: true, strip_accents: false }, 'The É')).toEqual(['the', 'é']);
    expect(first({ do_lower_case: false }, 'The É')).toEqual(['The', 'É']);
    expect(first({ do_lower_case: false, strip_accents: true }, 'The é')).toEqual(['The', 'e']);
    expect(first({ do_lower_case: true }, '中中')).toEqual(['中', '中']);
    expect(first({ do_lower_case: true, tokenize_chinese_chars: false }, '中中')).toEqual(['中', '##中']);
  });

  it('lowercases a final capital sigma as the Rust original does', () => {
    expect(first({ do_lower_case: true }, 'ΣΣ')).toEqual(['σ', '##σ']);
  });

  it('holds over tokenizer.json', () => {
    const cased = createTokenizer({ tokenizerJson, tokenizerConfig: { ...tokenizerConfig, do_lower_case: false } });
    expect(cased.encode(['THE']).tokens[0]).toEqual(['[CLS]', '[UNK]', '[SEP]']);
  });

  it('must state casing for a vocabulary with capitals', async () => {
    await caught('M031', () => first({}, 'The'));
    expect(createTokenizer({ vocabTxt }).encode(['THE']).tokens[0]).toEqual(['[CLS]', 'the', '[SEP]']);
  });

  it('names special tokens, as text or object', () => {
    const vocab = '<pad>\n<unk>\n<s>\n</s>\n<mask>\nthe\n';
    const config = {
      pad_token: '<pad>',
      unk_token: '<unk>',
      cls_token: { content: '<s>' },
      sep_token: '</s>',
      mask_token: '<mask>',
    };
    const tokenizer = createTokenizer({ vocabTxt: vocab, tokenizerConfig: config });
    expect(tokenizer.encode(['the <mask> q']).tokens).toEqual([['<s>', 'the', '<mask>', '<unk>', '</s>']]);
  });

  it('reads lines that end in any way', () => {
    const ids = (end: string) =>
      createTokenizer({ vocabTxt: vocabTxt.replaceAll('\n', end) }).encode(['the man']).inputIds;
    expect(ids('\r\n')).toEqual(ids('\n'));
  });
});

describe('broken files', () => {
  const template = (single: unknown) => ({ type: 'TemplateProcessing', single, pair: [], special_tokens: {} });
  const special = (piece: unknown) => ({ SpecialToken: piece });

  it.each<[string, Parameters<typeof createTokenizer>[0]]>([
    ['tokenizer.json a list', { tokenizerJson: [] }],
    ['tokenizer.json empty', { tokenizerJson: {} }],
    ['a model of unknown type', { tokenizerJson: { model: { type: 'Magic', vocab: { '[PAD]': 0 } } } }],
    ['no vocabulary', { tokenizerJson: { ...tokenizerJson, model: { type: 'WordPiece' } } }],
    [
      'an id that is no number',
      { tokenizerJson: { ...tokenizerJson, model: { type: 'WordPiece', vocab: { a: 'x' } } } },
    ],
    [
      'an id that would fill the memory',
      { tokenizerJson: { ...tokenizerJson, model: { type: 'WordPiece', vocab: { a: 2 ** 40 } } } },
    ],
    ['added tokens of another form', { tokenizerJson: { ...tokenizerJson, added_tokens: [{}] } }],
    ['a normalizer of unknown type', { tokenizerJson: { ...tokenizerJson, normalizer: { type: 'Magic' } } }],
    ['a config that is no object', { vocabTxt, tokenizerConfig: 3 }],
    ['casing that is no truth value', { vocabTxt, tokenizerConfig: { do_lower_case: 'yes' } }],
    ['a special token that is a number', { vocabTxt, tokenizerConfig: { cls_token: 3 } }],
    ['a post-processor that is a list', { tokenizerJson: { ...tokenizerJson, post_processor: template([3]) } }],
    ['a post-processor without pieces', { tokenizerJson: { ...tokenizerJson, post_processor: template(undefined) } }],
    ['a post-processor of no token', { tokenizerJson: { ...tokenizerJson, post_processor: template([special({})]) } }],
    [
      'a post-processor of an unknown token',
      { tokenizerJson: { ...tokenizerJson, post_processor: template([special({ id: '<s>', type_id: 0 })]) } },
    ],
    ['a vocabulary without [CLS]', { vocabTxt: '[PAD]\n[UNK]\n[SEP]\n[MASK]\n' }],
    ['an empty vocabulary', { vocabTxt: '' }],
  ])('%s', async (_, contents) => {
    expect((await caught('M031', () => createTokenizer({ ...contents, file: 'here' }))).file).toBe('here');
  });

  it('what a post-processor lacks for pairs, where pairs are asked for', async () => {
    const { post_processor: whole } = tokenizerJson as { post_processor: Record<string, unknown> };
    const { encode } = createTokenizer({
      tokenizerJson: { ...tokenizerJson, post_processor: { ...whole, pair: null } },
    });
    expect(encode(['the']).tokens).toEqual([['[CLS]', 'the', '[SEP]']]);
    await caught('M031', () => encode(['the'], { pairs: ['the'] }));
  });

  it('nothing at all, or bad JSON, or no UTF-8', async () => {
    await caught('M030', () => loadTokenizer({}));
    const folder = temporaryFolder();
    const path = join(folder, 'tokenizer.json');
    writeFileSync(path, '{"model": }');
    expect((await caught('M003', () => loadTokenizer({ tokenizerJson: path }))).message).toContain('line 1 column 11');
    writeFileSync(join(folder, 'vocab.txt'), Uint8Array.from([0xff]));
    await caught('M005', () => loadTokenizer({ vocabTxt: join(folder, 'vocab.txt') }));
    await caught('M005', () => loadTokenizer({ vocabTxt: join(folder, 'none.txt') }));
    copyFileSync(model('tiny-bert/vocab.txt'), join(folder, 'vocab.txt'));
    expect(loadTokenizer({ vocabTxt: join(folder, 'vocab.txt') }).vocabularySize).toBe(4096);
  });
});
