/**
 * BERT's tokenizer written as the object that tokenizer.json holds, from a vocab.txt and a tokenizer_config.json: what
 * Hugging Face transformers does when it converts a slow BertTokenizer (`convert_slow_tokenizer.BertConverter`).
 */
import { CheckpointError, quoted } from '../errors.ts';
import { asRecord, kindOf } from '../json.ts';

/** A parsed tokenizer_config.json. */
export type TokenizerConfig = Readonly<Record<string, unknown>>;

/** The special tokens' texts. */
export interface SpecialTokens {
  readonly unknown: string;
  readonly separator: string;
  readonly padding: string;
  readonly start: string;
  readonly mask: string;
}

/**
 * The special tokens that `config` names, BERT's own where it names none.
 *
 * @throws CheckpointError M031 when one is neither a text nor an object with `content`
 */
export function specialTokens(config: TokenizerConfig, file?: string): SpecialTokens {
  const read = (key: string, otherwise: string): string => {
    const value = config[key];
    if (value === undefined || value === null) return otherwise;
    const text = asRecord(value)?.['content'] ?? value;
    if (typeof text !== 'string')
      throw new CheckpointError('M031', `${key} is ${kindOf(value)}, not a token`, { file });
    return text;
  };
  return {
    unknown: read('unk_token', '[UNK]'),
    separator: read('sep_token', '[SEP]'),
    padding: read('pad_token', '[PAD]'),
    start: read('cls_token', '[CLS]'),
    mask: read('mask_token', '[MASK]'),
  };
}

/**
 * Whether the tokenizer lowercases and strips accents, as `config` says; undefined where it says nothing. Stripping
 * follows lowercasing unless `strip_accents` says otherwise.
 *
 * @throws CheckpointError M031 for anything but true, false and null
 */
export function casing(
  config: TokenizerConfig,
  file?: string,
): {
  readonly lowercase: boolean | undefined;
  readonly stripAccents: boolean | undefined;
  readonly chinese: boolean | undefined;
} {
  const read = (key: string): boolean | undefined => {
    const value = config[key];
    if (value === undefined || value === null || typeof value === 'boolean') return value ?? undefined;
    throw new CheckpointError('M031', `${key} is ${kindOf(value)}, not true or false`, { file });
  };
  return {
    lowercase: read('do_lower_case'),
    stripAccents: read('strip_accents'),
    chinese: read('tokenize_chinese_chars'),
  };
}

/**
 * tokenizer.json's object for `vocabTxt`: one token a line, its id the line's number from 0.
 *
 * @throws CheckpointError M031 when a special token is not in the vocabulary, or when casing is not stated and the
 * vocabulary is plainly a cased one
 */
export function bertTokenizerJson(vocabTxt: string, config: TokenizerConfig, file?: string): Record<string, unknown> {
  const tokens = vocabTxt.split(/\r\n|\n|\r/);
  if (tokens.at(-1) === '') tokens.pop();
  // A token written twice keeps its last line, as in the original.
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const special = specialTokens(config, file);
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined) throw new CheckpointError('M031', `the vocabulary lacks ${quoted(token)}`, { file });
    return id;
  };
  const { lowercase, stripAccents, chinese } = casing(config, file);
  if (lowercase === undefined) refuseCased(tokens, file);
  const piece = (token: string, type: number): unknown => ({ SpecialToken: { id: token, type_id: type } });
  const text = (id: 'A' | 'B', type: number): unknown => ({ Sequence: { id, type_id: type } });
  const { start, separator } = special;
  const single = [piece(start, 0), text('A', 0), piece(separator, 0)];
  const template = (token: string): [string, unknown] => [token, { id: token, ids: [idOf(token)], tokens: [token] }];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...new Set(Object.values(special))]
      .map((content) => ({ id: idOf(content), content, single_word: false, lstrip: false, rstrip: false }))
      .map((token) => ({ ...token, normalized: false, special: true }))
      .sort((a, b) => a.id - b.id),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: chinese ?? true,
      strip_accents: stripAccents ?? null,
      lowercase: lowercase ?? true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single,
      pair: [...single, text('B', 1), piece(separator, 1)],
      special_tokens: Object.fromEntries([start, separator].map(template)),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: special.unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(ids),
    },
  };
}

/** A lowercasing tokenizer can never produce a token with capitals; a vocabulary full of them was made without. */
function refuseCased(tokens: readonly string[], file: string | undefined): void {
  const cased = tokens.filter((token) => !token.startsWith('[') && token !== token.toLowerCase()).length;
  if (cased > tokens.length / 100) {
    throw new CheckpointError('M031', `${cased} tokens have capitals, and nothing says whether text is lowercased`, {
      file,
      hint: 'Add a tokenizer_config.json with "do_lower_case": false (or true).',
    });
  }
}
