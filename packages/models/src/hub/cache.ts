/**
 * The folder that keeps downloaded checkpoints: one snapshot a commit, so that nothing in it ever changes.
 *
 * ```
 * models--org--name/refs/main                      the commit a branch or tag meant when last asked
 * models--org--name/snapshots/<commit>/config.json …
 * models--org--name/snapshots/<commit>/.complete.json   written last: names and sizes of all files
 * models--org--name/partial/<file>-<oid>           downloads under way; never looked at by readers
 * ```
 *
 * A snapshot counts as present only when its list is there and every file has the size listed.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CheckpointError } from '../errors.ts';
import { asRecord } from '../json.ts';

/** The cache folder: `ESPALIER_CACHE`, else the platform's per-user cache folder. */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env['ESPALIER_CACHE']) return env['ESPALIER_CACHE'];
  if (process.platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'espalier', 'hub');
  }
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'espalier', 'hub');
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'espalier', 'hub');
}

/** Where a model's parts lie in the cache. */
export interface CachePlaces {
  readonly root: string;
  readonly partial: string;
  readonly ref: string;
  snapshot(commit: string): string;
}

/** Places of `id` (org/name, already checked) at `revision` under `cacheDir`. */
export function cachePlaces(cacheDir: string, id: string, revision: string): CachePlaces {
  const root = join(cacheDir, `models--${id.replace('/', '--')}`);
  return {
    root,
    partial: join(root, 'partial'),
    // A branch may hold slashes (refs/pr/1); encoded, it is one file name.
    ref: join(root, 'refs', encodeURIComponent(revision)),
    snapshot: (commit) => join(root, 'snapshots', commit),
  };
}

/** The commit that `places.ref` remembers, if any. */
export async function rememberedCommit(places: CachePlaces): Promise<string | undefined> {
  try {
    const commit = (await readFile(places.ref, 'utf8')).trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** A full Git commit id. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** The snapshot's folder when all of it is there, else undefined. */
export async function completeSnapshot(places: CachePlaces, commit: string): Promise<string | undefined> {
  const folder = places.snapshot(commit);
  try {
    const list = asRecord(JSON.parse(await readFile(join(folder, '.complete.json'), 'utf8')));
    const files = Object.entries(list ?? {});
    for (const [name, size] of files) {
      if ((await stat(join(folder, name))).size !== size) return undefined;
    }
    return files.length === 0 ? undefined : folder;
  } catch {
    return undefined;
  }
}

/** Marks a snapshot as complete. */
export async function markComplete(folder: string, sizes: ReadonlyMap<string, number>): Promise<void> {
  await writeAtomically(join(folder, '.complete.json'), JSON.stringify(Object.fromEntries(sizes)));
}

/** Writes a small file so that no reader ever sees half of it. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  await inCache(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, text);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

/** Runs file work in the cache; what the file system refuses becomes M034. */
export async function inCache<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError('M034', cause instanceof Error ? cause.message : String(cause), { file: path, cause });
  }
}
