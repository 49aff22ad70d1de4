/** Tokenizers: texts to padded batches of ids, and back. */
export { loadTokenizer } from './load.ts';
export {
  createTokenizer,
  type EncodeOptions,
  type Encoding,
  type Tokenizer,
  type TokenizerContents,
} from './tokenizer.ts';
