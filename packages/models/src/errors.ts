/**
 * The one place that makes errors about checkpoints: files, the Hub, tokenizers, and the mapping of a checkpoint to a graph.
 *
 * Each has a stable code, a message that says where (file, tensor) and what, and a hint: what the reader can do now.
 * Codes are never reused; callers may match on `error.code`.
 */
import { FAMILY_ERRORS } from './families/error-codes.ts';

/** What each code means, and the way out when the thrower knows no better one. */
export const CHECKPOINT_ERRORS = {
  M001: { title: 'no such file or folder', hint: 'Check the path; a Hub model is written org/name.' },
  M002: {
    title: 'no config.json',
    hint: 'Point at the folder that holds config.json, or at one .safetensors file to read tensors only.',
  },
  M003: { title: 'not valid JSON', hint: 'Repair the file at the place named, or fetch it again.' },
  M004: {
    title: 'no safetensors weights',
    hint: 'Put model.safetensors (or model.safetensors.index.json and its shards) in the folder.',
  },
  M005: { title: 'the file cannot be read', hint: 'Check that it is a regular file and that you may read it.' },
  M006: { title: 'the file is cut short', hint: 'Fetch or copy the file again; the copy did not finish.' },
  M007: { title: 'impossible header length', hint: 'This is probably no safetensors file; check what wrote it.' },
  M008: { title: 'malformed safetensors header', hint: 'Write the file again with a safetensors library.' },
  M009: { title: 'name used twice', hint: 'Write the file again with each name once.' },
  M010: { title: 'unknown dtype', hint: 'Convert the tensor to F32, F16, BF16 or F64 and save again.' },
  M011: { title: 'impossible shape', hint: 'Write the file again; dimensions are whole numbers from 0 to 2^53.' },
  M012: { title: 'impossible data offsets', hint: 'Write the file again with a safetensors library.' },
  M013: { title: 'data and shape disagree in size', hint: 'Write the file again with a safetensors library.' },
  M014: { title: 'tensors overlap', hint: 'Write the file again with a safetensors library.' },
  M015: { title: 'bytes that belong to no tensor', hint: 'Write the file again with a safetensors library.' },
  M016: {
    title: 'a weight is not finite',
    hint: 'Save the model again from a healthy training state, or pass allowNonFinite to read it all the same.',
  },
  M017: { title: 'values do not fit the type asked for', hint: 'Ask for a wider type.' },
  M018: { title: 'shards and index disagree', hint: 'Fetch all shards and the index again from one revision.' },
  M019: { title: 'tensor cannot be written', hint: 'Correct the tensor named and write again.' },
  M020: { title: 'not a Hub model', hint: 'Write org/name or org/name@revision; tokens start with hf_.' },
  M021: {
    title: 'the Hub cannot be reached',
    hint: 'No local folder has this name, so it was taken as a Hub id. Check the name, or the network and hubUrl, or point at a local folder with the same files.',
  },
  M022: { title: 'no such model on the Hub', hint: 'Check the name; a private model needs a token.' },
  M023: { title: 'no such revision on the Hub', hint: 'Name an existing branch, tag or commit.' },
  M024: {
    title: 'the Hub refuses access',
    hint: "Accept the model's terms on its page and pass a token that may read it (option token, or HF_TOKEN).",
  },
  M025: { title: 'download interrupted', hint: 'Run again: the download goes on where it stopped.' },
  M026: { title: 'downloaded bytes are not what the Hub announced', hint: 'Run again: the bad copy was removed.' },
  M027: { title: 'the Hub answered with an error', hint: 'Try again later; check hubUrl if it is your own server.' },
  M028: { title: 'not in the cache', hint: 'Run once with network access, then offline use works.' },
  M029: { title: 'cancelled', hint: 'Run again: a download goes on where it stopped.' },
  M030: { title: 'no tokenizer files', hint: 'Add tokenizer.json, or vocab.txt for a BERT tokenizer.' },
  M031: { title: 'unusable tokenizer files', hint: 'Save the tokenizer again with save_pretrained.' },
  M032: {
    title: 'text too long',
    hint: 'Pass maxLength (or truncate: true) to cut texts, or split them.',
  },
  M033: { title: 'not encodable', hint: 'Pass texts as an array of strings, ids as whole numbers.' },
  M034: { title: 'the cache cannot be written', hint: 'Set ESPALIER_CACHE (or cacheDir) to a folder you may write.' },
  ...FAMILY_ERRORS,
} as const satisfies Record<string, { readonly title: string; readonly hint: string }>;

/** A stable code of {@link CheckpointError}. */
export type CheckpointErrorCode = keyof typeof CHECKPOINT_ERRORS;

/** Where an error happened and what led to it. */
export interface CheckpointErrorPlace {
  /** The file, as the caller named it or as a path. */
  readonly file?: string | undefined;
  /** The tensor's name in the file. */
  readonly tensor?: string | undefined;
  /** A better way out than the code's own. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Anything wrong with a checkpoint, its download or its tokenizer: code, place, what, and the way out. */
export class CheckpointError extends Error {
  readonly code: CheckpointErrorCode;
  readonly file?: string;
  readonly tensor?: string;
  readonly hint: string;

  constructor(code: CheckpointErrorCode, detail: string, place: CheckpointErrorPlace = {}) {
    const hint = place.hint ?? CHECKPOINT_ERRORS[code].hint;
    const where = [
      place.file === undefined ? undefined : shorten(place.file, 300),
      place.tensor === undefined ? undefined : `tensor ${quoted(place.tensor)}`,
    ].filter((part) => part !== undefined);
    super(`${code} ${[...where, detail].join(': ')}. ${hint}`, place.cause === undefined ? {} : { cause: place.cause });
    this.name = 'CheckpointError';
    this.code = code;
    this.hint = hint;
    if (place.file !== undefined) this.file = place.file;
    if (place.tensor !== undefined) this.tensor = place.tensor;
  }
}

/** Text from a file, fit for a message: quoted, escaped and cut, so that a hostile name cannot flood or garble a terminal. */
export function quoted(text: string): string {
  return JSON.stringify(shorten(text, 120)).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
