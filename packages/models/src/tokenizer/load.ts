/** A checkpoint's tokenizer, from its files. */

import { readTextSync } from '../checkpoint/files.ts';
import type { Checkpoint, TokenizerFiles } from '../checkpoint/open.ts';
import { asRecord, parseJson } from '../json.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

/**
 * Loads the tokenizer of a checkpoint, or of files given by path: tokenizer.json, or else vocab.txt read as BERT's.
 * From a checkpoint it also learns how many positions the model has.
 *
 * @throws CheckpointError M003 and M005 for unreadable files, M030, M031
 */
export function loadTokenizer(from: Checkpoint | TokenizerFiles): Tokenizer {
  const checkpoint = 'tokenizerFiles' in from ? from : undefined;
  const files = 'tokenizerFiles' in from ? from.tokenizerFiles : from;
  const json = (path: string | undefined): unknown =>
    path === undefined ? undefined : parseJson(readTextSync(path), path);
  const tokenizerJson = json(files.tokenizerJson);
  const tokenizerConfig = json(files.tokenizerConfig);
  const maxTokens = modelPositions(checkpoint?.config);
  const file = files.tokenizerJson ?? files.vocabTxt ?? checkpoint?.folder;
  return createTokenizer({
    ...(tokenizerJson === undefined ? {} : { tokenizerJson }),
    ...(tokenizerConfig === undefined ? {} : { tokenizerConfig }),
    ...(tokenizerJson === undefined && files.vocabTxt !== undefined ? { vocabTxt: readTextSync(files.vocabTxt) } : {}),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(file === undefined ? {} : { file }),
  });
}

/** Positions of a model: BERT's `max_position_embeddings`, or crammedBERT's `arch.embedding.max_seq_length`. */
function modelPositions(config: unknown): number | undefined {
  const record = asRecord(config);
  const stated =
    record?.['max_position_embeddings'] ?? asRecord(asRecord(record?.['arch'])?.['embedding'])?.['max_seq_length'];
  return Number.isSafeInteger(stated) && (stated as number) > 0 ? (stated as number) : undefined;
}
