/** `--tuning FILE`: forms that `espalier tune` found, and the capabilities it found them for. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Tuning, tuned } from '@espalier/codegen';
import { UsageError } from './errors.ts';
import type { AskedTarget } from './flags.ts';

const HINT = '`espalier tune LAYER --dims … --out FILE` writes one.';

/** Reads a tuning file. Throws UsageError U012. */
async function readTuning(path: string, cwd: string): Promise<Tuning> {
  const refuse = (why: string, cause?: unknown): UsageError =>
    new UsageError('U012', `${path} ${why}`, HINT, cause === undefined ? {} : { cause });
  const text = await readFile(resolve(cwd, path), 'utf8').catch((cause: unknown) => {
    throw refuse('could not be read', cause);
  });
  let value: Partial<Tuning> | null;
  try {
    value = JSON.parse(text) as Partial<Tuning> | null;
  } catch (cause) {
    throw refuse('is no JSON', cause);
  }
  const isTuning =
    typeof value?.target === 'string' &&
    typeof value.shapes === 'object' &&
    Object.values(value.shapes).every(Array.isArray);
  if (!isTuning) throw refuse('is no tuning');
  if (value?.version !== 1) throw refuse(`is a tuning of version ${value?.version}; this is for version 1`);
  return value as Tuning;
}

/** The targets as tuned, with the tuning's capabilities where none were given. Throws UsageError U012 where it is for none of them. */
export async function withTuning(
  asked: readonly AskedTarget[],
  path: string,
  cwd: string,
): Promise<readonly AskedTarget[]> {
  const tuning = await readTuning(path, cwd);
  if (!asked.some(({ target }) => target.name === tuning.target))
    throw new UsageError('U012', `${path} is a tuning for ${tuning.target}`, `Ask for --target ${tuning.target}.`);
  return asked.map(({ target, capabilities }) =>
    target.name === tuning.target
      ? { target: tuned(target, tuning), capabilities: { ...tuning.capabilities, ...capabilities } }
      : { target, capabilities },
  );
}
