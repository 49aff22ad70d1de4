/**
 * Reading config.json key by key: every value is checked when it is read, and every error names the key in full
 * ("arch.embedding.vocab_size"), the value found, and what would have been right.
 */
import { CheckpointError, type CheckpointErrorCode, quoted } from '../errors.ts';
import { asRecord, kindOf } from '../json.ts';

/** One object of config.json. `fallback` is what the original program assumes when the key is absent. */
export interface ConfigSection {
  /** The file, for messages. */
  readonly file: string | undefined;
  /** The value as it stands, undefined when absent. null counts as absent. */
  raw(key: string): unknown;
  /** Whether the key is there, be it null. */
  has(key: string): boolean;
  /** A nested object; an absent one reads as empty. */
  section(key: string): ConfigSection;
  /** A list of objects. */
  list(key: string): readonly ConfigSection[];
  /** A whole number ≥ `least`. */
  integer(key: string, least: number, fallback?: number): number;
  /** A number that is finite and above 0 as a float32 too. */
  positive(key: string, fallback?: number): number;
  flag(key: string, fallback?: boolean): boolean;
  text(key: string, fallback?: string): string;
  /** An error about a key: "config.json: "arch.norm": …". */
  error(code: CheckpointErrorCode, key: string, detail: string, hint?: string): CheckpointError;
}

/**
 * Wraps a parsed config.json.
 *
 * @param prefix where the object stands, e.g. "arch."
 * @throws CheckpointError M101 when it is no object; so do all readers for values that are impossible
 */
export function configSection(value: unknown, file: string | undefined, prefix = ''): ConfigSection {
  const record = asRecord(value);
  if (record === undefined) {
    if (prefix !== '')
      throw new CheckpointError('M101', `${quoted(prefix.slice(0, -1))} must be an object, not ${kindOf(value)}`, {
        file,
      });
    const hint = 'Put the config.json that belongs to these weights beside them.';
    throw new CheckpointError('M101', `the configuration must be an object, not ${kindOf(value)}`, { file, hint });
  }
  const raw = (key: string): unknown => (Object.hasOwn(record, key) ? (record[key] ?? undefined) : undefined);
  const error = (code: CheckpointErrorCode, key: string, detail: string, hint?: string): CheckpointError =>
    new CheckpointError(code, `${quoted(prefix + key)} ${detail}`, { file, hint });

  /** The value, checked by `accept`, or the fallback. */
  function read<T>(key: string, fallback: T | undefined, accept: (value: never) => boolean, wanted: string): T {
    const found = raw(key);
    if (found === undefined) {
      if (fallback === undefined) throw error('M101', key, `is missing; it must be ${wanted}`);
      return fallback;
    }
    if (!accept(found as never)) throw error('M101', key, `must be ${wanted}, not ${kindOf(found)}`);
    return found as T;
  }

  return {
    file,
    raw,
    error,
    has: (key) => Object.hasOwn(record, key),
    section: (key) => configSection(raw(key) ?? {}, file, `${prefix}${key}.`),
    list(key) {
      const found = raw(key);
      if (!Array.isArray(found)) throw error('M101', key, `must be a list, not ${kindOf(found)}`);
      return found.map((item, i) => configSection(item, file, `${prefix}${key}[${i}].`));
    },
    integer: (key, least, fallback) =>
      read(key, fallback, (v: unknown) => isWhole(v) && v >= least, `a whole number from ${least} to 2147483647`),
    positive: (key, fallback) => read(key, fallback, isPositive, 'a number above 0 that float32 can hold'),
    flag: (key, fallback) => read(key, fallback, (v: unknown) => typeof v === 'boolean', 'true or false'),
    text: (key, fallback) => read(key, fallback, (v: unknown) => typeof v === 'string', 'a text'),
  };
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Math.fround(value) > 0 && Number.isFinite(Math.fround(value));
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value <= 2147483647;
}

/** More than this is no depth of an encoder but a broken config. */
const MOST_LAYERS = 1000;

/** The number of encoder layers at `key`. Throws CheckpointError M101, also for an absurd number. */
export function layerCount(config: ConfigSection, key: string, fallback?: number): number {
  const layers = config.integer(key, 0, fallback);
  if (layers > MOST_LAYERS) throw config.error('M101', key, `is ${layers}; at most ${MOST_LAYERS} layers are possible`);
  return layers;
}

/** A value as an error shows it: texts in quotes, cut. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? quoted(value) : kindOf(value);
}

/**
 * The class labels, by class. A config without id2label gets the original's LABEL_0, LABEL_1, …
 *
 * @param classes as the head's weights have it
 * @throws CheckpointError M109 when id2label is there and does not name the classes 0 … classes − 1 exactly
 */
export function labelsOf(config: ConfigSection, classes: number): readonly string[] {
  const found = config.raw('id2label');
  if (found === undefined) return Array.from({ length: classes }, (_, i) => `LABEL_${i}`);
  const record = asRecord(found);
  if (record === undefined) throw config.error('M109', 'id2label', `must be an object, not ${kindOf(found)}`);
  const count = Object.keys(record).length;
  if (count !== classes) {
    throw config.error('M109', 'id2label', `names ${count} labels, but the head's weights have ${classes} classes`);
  }
  return Array.from({ length: classes }, (_, i) => {
    const label = record[String(i)];
    if (typeof label !== 'string') throw config.error('M109', 'id2label', `has no text for class ${i}`);
    return label;
  });
}
