/**
 * Texts to token ids and back, for batches: Hugging Face's tokenizers library does the splitting, this adds padding,
 * lengths that are checked, and pairs.
 *
 * `[MASK]` and the other special tokens are found in texts as they are written, before anything is lowercased.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { CheckpointError, quoted } from '../errors.ts';
import { asRecord, kindOf } from '../json.ts';
import { bertTokenizerJson, casing, specialTokens, type TokenizerConfig } from './bert.ts';
import { evenOut, textQuirks } from './quirks.ts';

/** A padded batch; the arrays are row-major [batch, sequence]. */
export interface Encoding {
  readonly inputIds: Int32Array;
  /** 1 for a token, 0 for padding. */
  readonly attentionMask: Int32Array;
  /** 0 for the first text and padding, 1 for the second of a pair. */
  readonly tokenTypeIds: Int32Array;
  readonly batch: number;
  /** Tokens of the longest text; shorter ones are padded at their end. */
  readonly sequence: number;
  /** The tokens of each text, special ones included, padding not. */
  readonly tokens: string[][];
}

/** How to encode. */
export interface EncodeOptions {
  /** Cut every text to at most this many tokens, special ones included. */
  readonly maxLength?: number;
  /** Cut texts that are too long for the model; the default is an error. */
  readonly truncate?: boolean;
  /** Second texts, one for each text. */
  readonly pairs?: readonly string[];
}

/** A tokenizer of one model. */
export interface Tokenizer {
  /**
   * Encodes texts as one batch.
   *
   * @throws CheckpointError M032 for a text longer than `maxTokens` without leave to cut it, M033 for bad arguments
   */
  encode(texts: readonly string[], options?: EncodeOptions): Encoding;
  /**
   * The text of one row of ids. Special tokens are left out unless `keepSpecial`.
   *
   * @throws CheckpointError M033 for an id outside the vocabulary
   */
  decode(ids: Iterable<number>, options?: { readonly keepSpecial?: boolean }): string;
  /** The id of a token as the vocabulary spells it (`##ing`), or undefined. */
  idOf(token: string): number | undefined;
  /** The token of an id, or undefined. */
  tokenOf(id: number): string | undefined;
  /** What stands for a word to be guessed, usually `[MASK]`. */
  readonly maskToken: string;
  readonly maskId: number | undefined;
  readonly padId: number;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** Most tokens a text may have, special ones included; Infinity when nothing says. */
  readonly maxTokens: number;
}

/** What a tokenizer is made from: the contents of its files. One of `tokenizerJson` and `vocabTxt` must be there. */
export interface TokenizerContents {
  /** tokenizer.json, parsed. */
  readonly tokenizerJson?: unknown;
  /** tokenizer_config.json, parsed. */
  readonly tokenizerConfig?: unknown;
  readonly vocabTxt?: string;
  /** Positions of the model, special tokens included. */
  readonly maxTokens?: number;
  /** Named in errors. */
  readonly file?: string;
}

/** No real vocabulary comes near; a larger id would make arrays that fill the memory. */
const MAX_ID = 1 << 24;

/**
 * Makes a tokenizer from file contents, without touching files: also for the browser.
 *
 * @throws CheckpointError M030 without tokenizer.json and vocab.txt, M031 for contents that cannot be used
 */
export function createTokenizer(contents: TokenizerContents): Tokenizer {
  const { file } = contents;
  const config = asRecord(contents.tokenizerConfig ?? {});
  if (config === undefined) throw new CheckpointError('M031', 'tokenizer_config.json is not an object', { file });
  if (contents.tokenizerJson === undefined && contents.vocabTxt === undefined) {
    throw new CheckpointError('M030', 'neither tokenizer.json nor vocab.txt', { file });
  }
  const json =
    contents.tokenizerJson === undefined
      ? bertTokenizerJson(contents.vocabTxt ?? '', config, file)
      : withCasing(checkJson(contents.tokenizerJson, file), config, file);
  const vocabularySize = checkVocabulary(json, file);
  let inner: HuggingFaceTokenizer;
  try {
    inner = new HuggingFaceTokenizer(json, config);
  } catch (cause) {
    throw new CheckpointError('M031', cause instanceof Error ? cause.message : String(cause), { file, cause });
  }
  const special = specialTokens(config, file);
  const padId = inner.token_to_id(special.padding);
  if (padId === undefined) {
    throw new CheckpointError('M031', `the padding token ${quoted(special.padding)} is not in the vocabulary`, {
      file,
    });
  }
  const stated = config['model_max_length'];
  const maxTokens = Math.min(
    contents.maxTokens ?? Number.POSITIVE_INFINITY,
    // transformers writes 10^30 for "no limit".
    typeof stated === 'number' && stated > 0 && stated < 1e9 ? stated : Number.POSITIVE_INFINITY,
  );
  const quirks = textQuirks(json);
  const pieces = (text: string): string[] => inner.tokenize(evenOut(text, quirks), { add_special_tokens: false });
  const assemble = (first: string[], second: string[] | null): { tokens: string[]; types: readonly number[] } => {
    const whole = inner.post_processor?.post_process(first, second, true);
    return { tokens: whole?.tokens ?? [...first, ...(second ?? [])], types: whole?.token_type_ids ?? [] };
  };
  /** Tokens that are added to a text, or to a pair. */
  const overheadOf = (pair: boolean): number =>
    checkAssembled(
      () => assemble([], pair ? [] : null),
      (token) => inner.token_to_id(token),
      file,
    ).tokens.length;
  overheadOf(false);
  const unknownId = (json['model'] as Readonly<Record<string, unknown>>)['unk_token'];
  const idOfPiece = (token: string): number =>
    inner.token_to_id(token) ?? (typeof unknownId === 'string' ? inner.token_to_id(unknownId) : undefined) ?? padId;

  const encode = (texts: readonly string[], options: EncodeOptions = {}): Encoding => {
    const { pairs, maxLength } = options;
    checkTexts(texts, 'texts');
    if (pairs !== undefined) {
      checkTexts(pairs, 'pairs');
      if (pairs.length !== texts.length) {
        throw new CheckpointError('M033', `${pairs.length} second texts for ${texts.length} first ones`, {});
      }
    }
    if (maxLength !== undefined && !(Number.isSafeInteger(maxLength) && maxLength > 0)) {
      throw new CheckpointError('M033', `maxLength is ${maxLength}`, {
        hint: 'Pass a whole number of tokens, 1 or more.',
      });
    }
    if (maxLength !== undefined && maxLength > maxTokens) {
      throw new CheckpointError('M032', `maxLength is ${maxLength}, the model has ${maxTokens} positions`, {
        hint: `Pass a maxLength of at most ${maxTokens}.`,
      });
    }
    const overhead = overheadOf(pairs !== undefined);
    const limit = maxLength ?? maxTokens;
    if (limit < overhead) {
      throw new CheckpointError('M032', `maxLength is ${limit}, the special tokens alone need ${overhead}`);
    }
    const rows = texts.map((text, row) => {
      const first = pieces(text);
      const second = pairs === undefined ? null : pieces(pairs[row] ?? '');
      const length = first.length + (second?.length ?? 0) + overhead;
      if (length > limit) {
        if (maxLength === undefined && !options.truncate) {
          throw new CheckpointError('M032', `text ${row} has ${length} tokens, the model has ${maxTokens} positions`);
        }
        cut(first, second, limit - overhead);
      }
      return assemble(first, second);
    });
    const sequence = rows.reduce((longest, row) => Math.max(longest, row.tokens.length), 0);
    const inputIds = new Int32Array(rows.length * sequence).fill(padId);
    const attentionMask = new Int32Array(inputIds.length);
    const tokenTypeIds = new Int32Array(inputIds.length);
    rows.forEach(({ tokens, types }, row) => {
      inputIds.set(tokens.map(idOfPiece), row * sequence);
      attentionMask.fill(1, row * sequence, row * sequence + tokens.length);
      tokenTypeIds.set(types, row * sequence);
    });
    return {
      inputIds,
      attentionMask,
      tokenTypeIds,
      batch: rows.length,
      sequence,
      tokens: rows.map((row) => row.tokens),
    };
  };

  return {
    encode,
    decode: (ids, options = {}) => {
      const row = Array.from(ids);
      const bad = row.findIndex((id) => inner.id_to_token(id) === undefined);
      if (bad >= 0) {
        throw new CheckpointError(
          'M033',
          `id ${row[bad]} (at ${bad}) is not in the vocabulary of ${vocabularySize}`,
          {},
        );
      }
      return row.length === 0 ? '' : inner.decode(row, { skip_special_tokens: !options.keepSpecial });
    },
    idOf: (token) => inner.token_to_id(token),
    tokenOf: (id) => inner.id_to_token(id),
    maskToken: special.mask,
    maskId: inner.token_to_id(special.mask),
    padId,
    vocabularySize,
    maxTokens,
  };
}

/**
 * Runs a post-processor, of which only its use shows whether it makes sense, and checks the tokens that it gives.
 *
 * @throws CheckpointError M031
 */
function checkAssembled<T extends { readonly tokens: readonly unknown[] }>(
  assemble: () => T,
  idOf: (token: string) => number | undefined,
  file: string | undefined,
): T {
  const unusable = (why: string, cause?: unknown): CheckpointError =>
    new CheckpointError('M031', `the post_processor of tokenizer.json ${why}`, { file, cause });
  let assembled: T;
  try {
    assembled = assemble();
  } catch (cause) {
    throw unusable(`cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  const strange = assembled.tokens.findIndex((token) => typeof token !== 'string' || idOf(token) === undefined);
  if (strange < 0) return assembled;
  throw unusable(`adds ${kindOf(assembled.tokens[strange])}, which is no token of the vocabulary`);
}

/** Cuts at the end; of a pair, from whichever is longer, as transformers' `longest_first`. */
function cut(first: string[], second: string[] | null, room: number): void {
  if (second === null) {
    first.length = Math.min(first.length, room);
    return;
  }
  while (first.length + second.length > room) (first.length > second.length ? first : second).pop();
}

function checkTexts(texts: unknown, what: string): void {
  if (!Array.isArray(texts)) throw new CheckpointError('M033', `${what} is ${kindOf(texts)}, not a list of texts`);
  const bad = texts.findIndex((text) => typeof text !== 'string');
  if (bad >= 0) throw new CheckpointError('M033', `${what}[${bad}] is ${kindOf(texts[bad])}, not a text`);
}

function checkJson(value: unknown, file: string | undefined): Readonly<Record<string, unknown>> {
  const json = asRecord(value);
  if (json === undefined) throw new CheckpointError('M031', 'tokenizer.json is not an object', { file });
  const model = asRecord(json['model']);
  if (model === undefined) throw new CheckpointError('M031', 'tokenizer.json has no model', { file });
  // The library would take any other for its oldest kind, and give ids that mean nothing. Early BERT files state no type.
  const known =
    model['type'] ?? ('continuing_subword_prefix' in model && 'unk_token' in model ? 'WordPiece' : undefined);
  if (known !== 'WordPiece' && known !== 'BPE' && known !== 'Unigram') {
    throw new CheckpointError('M031', `the model of tokenizer.json is ${kindOf(model['type'])}, not WordPiece`, {
      file,
    });
  }
  const added = json['added_tokens'] ?? [];
  const sound =
    Array.isArray(added) &&
    added.every((token) => typeof asRecord(token)?.['content'] === 'string' && asRecord(token)?.['content'] !== '');
  if (!sound) throw new CheckpointError('M031', 'added_tokens in tokenizer.json is not a list of tokens', { file });
  const absent = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return { ...absent, ...json, added_tokens: added };
}

/** What tokenizer_config.json states about casing holds over tokenizer.json, as in transformers' BertTokenizerFast. */
function withCasing(
  json: Readonly<Record<string, unknown>>,
  config: TokenizerConfig,
  file: string | undefined,
): Readonly<Record<string, unknown>> {
  const normalizer = asRecord(json['normalizer']);
  if (normalizer?.['type'] !== 'BertNormalizer') return json;
  const { lowercase, stripAccents, chinese } = casing(config, file);
  return {
    ...json,
    normalizer: {
      ...normalizer,
      ...(lowercase === undefined ? {} : { lowercase }),
      ...(stripAccents === undefined ? {} : { strip_accents: stripAccents }),
      ...(chinese === undefined ? {} : { handle_chinese_chars: chinese }),
    },
  };
}

/** Checks all ids and returns one more than the largest. */
function checkVocabulary(json: Readonly<Record<string, unknown>>, file: string | undefined): number {
  const vocab = asRecord(json['model'])?.['vocab'];
  const ids = Array.isArray(vocab)
    ? vocab.map((_, id): [string, unknown] => [String(id), id])
    : Object.entries(asRecord(vocab) ?? {});
  const added = (json['added_tokens'] as readonly Readonly<Record<string, unknown>>[]).map(
    (token): [string, unknown] => [token['content'] as string, token['id']],
  );
  let size = 0;
  for (const [token, id] of [...ids, ...added]) {
    if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) > MAX_ID) {
      throw new CheckpointError('M031', `the id of token ${quoted(token)} is ${kindOf(id)}`, { file });
    }
    size = Math.max(size, (id as number) + 1);
  }
  if (ids.length === 0) throw new CheckpointError('M031', 'the vocabulary is empty', { file });
  return size;
}
