/**
 * One file from the Hub into the cache: resumed where an earlier try stopped, checked against the hash that the Hub
 * announces, and moved to its final name only when whole.
 *
 * A partial file belongs to one process at a time: it is taken by renaming it, and renamed back when the download stops.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { downloadFile, type ListFileEntry } from '@huggingface/hub';
import { CheckpointError } from '../errors.ts';
import { inCache } from './cache.ts';
import { type Guard, guarded, ResumeRefused } from './guard.ts';
import { hubProblem, isTransient } from './problems.ts';

/** How far a download is. */
export interface DownloadProgress {
  /** Name of the file in the model. */
  readonly file: string;
  /** Bytes here so far, those of an earlier try included. */
  readonly bytes: number;
  /** Bytes of the whole file. */
  readonly total: number;
}

/** What a download needs to know. */
export interface DownloadRequest {
  readonly id: string;
  readonly commit: string;
  readonly entry: ListFileEntry;
  readonly hubUrl: string;
  readonly token: string | undefined;
  /** Folder for files under way. */
  readonly partial: string;
  /** Final path; its folder must exist. */
  readonly target: string;
  readonly stallMs: number;
  /** Tries after the first. */
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
}

/**
 * Downloads `entry` to `target`.
 *
 * @throws CheckpointError M021…M029, M034
 */
export async function downloadToCache(request: DownloadRequest): Promise<void> {
  const { entry, partial, target } = request;
  const oid = (entry.lfs?.oid ?? entry.oid ?? 'unknown').replace(/\W/g, '');
  const resting = join(partial, `${entry.path}-${oid}`);
  const mine = `${resting}.${process.pid}.${randomUUID()}`;
  await inCache(partial, async () => {
    await mkdir(partial, { recursive: true });
    await takeOver(resting, mine);
  });
  try {
    for (let tries = 0; ; tries++) {
      try {
        await fetchRest(request, mine);
        break;
      } catch (error) {
        if (tries >= request.retries || !isTransient(error) || request.signal?.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.min(4000, 250 * 2 ** tries)));
      }
    }
    if (!(await hashAgrees(mine, entry))) {
      await rm(mine, { force: true });
      throw new CheckpointError('M026', 'the hash differs from the one announced', { file: subject(request) });
    }
    await inCache(target, () => rename(mine, target));
  } catch (error) {
    await rename(mine, resting).catch(() => {});
    throw error;
  }
}

/** Takes a partial file that rests, or one whose process has died, as `mine`; none is fine too. */
async function takeOver(resting: string, mine: string): Promise<void> {
  const folder = dirname(resting);
  const name = basename(resting);
  for (const found of await readdir(folder)) {
    if (found !== name && !(found.startsWith(`${name}.`) && isAbandoned(found.slice(name.length + 1)))) continue;
    try {
      await rename(join(folder, found), mine);
      return;
    } catch {
      // Another process was quicker.
    }
  }
}

function isAbandoned(suffix: string): boolean {
  const pid = Number(suffix.split('.')[0]);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/** Appends what is missing to the file at `path`. */
async function fetchRest(request: DownloadRequest, path: string): Promise<void> {
  const { entry, signal, stallMs, hubUrl } = request;
  const file = await inCache(path, () => open(path, 'a'));
  // What the caller's own callback throws is the caller's, not the Hub's.
  let callbackError: { readonly thrown: unknown } | undefined;
  try {
    let have = (await file.stat()).size;
    if (have > entry.size) {
      await file.truncate(0);
      have = 0;
    }
    const report = (): void => {
      try {
        request.onProgress?.({ file: entry.path, bytes: have, total: entry.size });
      } catch (thrown) {
        callbackError = { thrown };
        throw thrown;
      }
    };
    report();
    if (have === entry.size) return;
    await guarded(`downloading ${subject(request)}`, stallMs, signal, async (guard) => {
      for await (const chunk of bodyFrom(request, have, guard)) {
        guard.alive();
        if (have + chunk.byteLength > entry.size) {
          await file.truncate(0);
          throw new CheckpointError('M026', `more bytes came than the ${entry.size} announced`, {
            file: subject(request),
          });
        }
        await inCache(path, () => file.appendFile(chunk));
        have += chunk.byteLength;
        report();
      }
      if (have < entry.size) {
        throw new CheckpointError('M025', `the connection ended after ${have} of ${entry.size} bytes`, {
          file: subject(request),
        });
      }
    });
    await inCache(path, () => file.sync());
  } catch (error) {
    if (callbackError !== undefined) throw callbackError.thrown;
    if (error instanceof ResumeRefused) {
      await file.truncate(0);
      throw new CheckpointError('M025', `${hubUrl} cannot go on in the middle of the file`, { file: subject(request) });
    }
    throw hubProblem(error, subject(request), hubUrl);
  } finally {
    await file.close();
  }
}

/** The file's bytes from `start` on. */
async function* bodyFrom(request: DownloadRequest, start: number, guard: Guard): AsyncGenerator<Uint8Array> {
  let refused: ResumeRefused | undefined;
  const blob = await downloadFile({
    repo: request.id,
    path: request.entry.path,
    revision: request.commit,
    hubUrl: request.hubUrl,
    // The plain protocol can be resumed and checked; xet would need a second server.
    xet: false,
    ...(request.token === undefined ? {} : { accessToken: request.token }),
    fetch: async (input, init) => {
      try {
        return await guard.fetch(input, init);
      } catch (error) {
        // The library turns errors of the body into bare texts; keep the one that must be told apart.
        if (error instanceof ResumeRefused) refused = error;
        throw error;
      }
    },
  });
  if (blob === null) {
    throw new CheckpointError('M027', 'the Hub lists the file but does not have it', { file: subject(request) });
  }
  if (blob.size !== request.entry.size) {
    throw new CheckpointError('M026', `the Hub lists ${request.entry.size} bytes but serves ${blob.size}`, {
      file: subject(request),
    });
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = (start === 0 ? blob : blob.slice(start)).stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (refused !== undefined) throw refused;
    throw error instanceof CheckpointError || guard.signal.aborted
      ? error
      : new CheckpointError(
          'M025',
          `the connection broke (${error instanceof Error ? error.message : String(error)})`,
          {
            file: subject(request),
            cause: error,
          },
        );
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Compares with the sha256 of a large file, or the Git blob id of a small one; without either, the size must do. */
async function hashAgrees(path: string, entry: ListFileEntry): Promise<boolean> {
  const size = (await stat(path)).size;
  if (size !== entry.size) return false;
  const expected = entry.lfs?.oid ?? entry.oid ?? '';
  const hash = /^[0-9a-f]{64}$/.test(expected)
    ? createHash('sha256')
    : /^[0-9a-f]{40}$/.test(expected)
      ? createHash('sha1').update(`blob ${size}\0`)
      : undefined;
  if (hash === undefined) return true;
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest('hex') === expected;
}

function subject(request: DownloadRequest): string {
  return `${request.id}/${request.entry.path}`;
}
