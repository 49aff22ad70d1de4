/**
 * Tunings that come with this package, in `tunings/`: what was faster than the compiler's own choice by more than noise on the processors
 * and engines that were at hand. Elsewhere the compiler's own choice is the default.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type MachineKey, sameMachine } from '../machine.ts';
import type { TuningFile } from './tune.ts';

const FOLDER = fileURLToPath(new URL('../../tunings/', import.meta.url));

/** All of them, by file name. */
export function shippedTunings(): ReadonlyMap<string, TuningFile> {
  if (!existsSync(FOLDER)) return new Map();
  const files = readdirSync(FOLDER).filter((f) => f.endsWith('.json'));
  return new Map(files.sort().map((f) => [f, JSON.parse(readFileSync(`${FOLDER}${f}`, 'utf8')) as TuningFile]));
}

/** The one for a processor, an engine and a width of vectors; null where none is shipped. */
export function shippedTuning(key: MachineKey, isWide: boolean): TuningFile | null {
  const fits = (t: TuningFile): boolean =>
    sameMachine(t.machine, key) && (t.capabilities['simd-256'] === true) === isWide;
  return [...shippedTunings().values()].find(fits) ?? null;
}
