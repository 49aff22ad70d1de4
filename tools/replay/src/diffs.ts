/** Unified diffs of changed texts, by git; equal changes in many kernels are told once. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangedText } from './compare.ts';
import { ReplayError } from './errors.ts';

/** A change with its diff, and everywhere else the same lines change in the same way. */
export interface Difference {
  readonly change: ChangedText;
  /** Hunks without file names; empty where only facts about the launch changed. */
  readonly hunks: string;
  readonly added: number;
  readonly removed: number;
  /** Other places with the same change. */
  readonly also: readonly ChangedText[];
}

/** The diffs, the largest groups first. `folder`: an empty place to write in. */
export function differencesOf(changes: readonly ChangedText[], folder: string): readonly Difference[] {
  const hunks = hunksOf(changes, folder);
  const groups = new Map<string, { first: Difference; also: ChangedText[] }>();
  changes.forEach((change, i) => {
    const text = hunks.get(i) ?? '';
    // Line numbers say where, not what.
    const key = JSON.stringify([change.kind, change.facts, text.replace(/^@@ .*$/gm, '@@')]);
    const known = groups.get(key);
    if (known !== undefined) {
      known.also.push(change);
      return;
    }
    const lines = text.split('\n');
    const count = (mark: string): number => lines.filter((line) => line.startsWith(mark)).length;
    groups.set(key, { first: { change, hunks: text, added: count('+'), removed: count('-'), also: [] }, also: [] });
  });
  return [...groups.values()]
    .map(({ first, also }) => ({ ...first, also }))
    .sort((a, b) => b.also.length - a.also.length);
}

/** Hunks by the number of the change: both sides are written as files, and git compares the folders in one go. */
function hunksOf(changes: readonly ChangedText[], folder: string): ReadonlyMap<number, string> {
  for (const side of ['before', 'after'] as const) {
    mkdirSync(join(folder, side), { recursive: true });
    changes.forEach((change, i) => {
      writeFileSync(join(folder, side, `${i}.${change.extension}`), change[side]);
    });
  }
  const args = ['diff', '--no-index', '--no-color', '--no-ext-diff', '--histogram', '--text', '-U3', 'before', 'after'];
  const { stdout, status, stderr, error } = spawnSync('git', args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (error !== undefined || (status !== 0 && status !== 1))
    throw new ReplayError('git diff failed', stderr || String(error));
  const hunks = new Map<number, string>();
  for (const part of stdout.split(/^(?=diff --git )/m)) {
    const number = /^diff --git \S*before\/(\d+)\./.exec(part)?.[1];
    const start = part.search(/^@@ /m);
    // The text behind the second @@ is git's guess at a heading.
    if (number !== undefined && start >= 0)
      hunks.set(Number(number), part.slice(start).replace(/^(@@ [^@]*@@).*$/gm, '$1'));
  }
  return hunks;
}
