/**
 * A model of the Hugging Face Hub as a local folder: asks which commit a revision is, downloads the few files that a
 * checkpoint needs, and without a network gives what the cache already has.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HUB_URL, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { CheckpointError, quoted } from '../errors.ts';
import { parseShardIndex } from '../safetensors/shards.ts';
import {
  cachePlaces,
  completeSnapshot,
  defaultCacheDir,
  inCache,
  isCommit,
  markComplete,
  rememberedCommit,
  writeAtomically,
} from './cache.ts';
import { type DownloadProgress, downloadToCache } from './download.ts';
import { guarded } from './guard.ts';
import { hubProblem, isTransient } from './problems.ts';

/** How to reach the Hub and where to keep what it gives. */
export interface HubOptions {
  /** Folder of the cache; default {@link defaultCacheDir}. */
  readonly cacheDir?: string;
  /** Branch, tag or commit; default `main`. Also as `org/name@revision`. */
  readonly revision?: string;
  /** Access token (hf_…); default the environment's HF_TOKEN, which is never sent to a `hubUrl` given here. */
  readonly token?: string;
  /** Called for each file as its bytes arrive. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Default the environment's HF_ENDPOINT, else https://huggingface.co. */
  readonly hubUrl?: string;
  /** Use the cache only. */
  readonly offline?: boolean;
  /** Cancels the download; what has arrived is kept for the next try. */
  readonly signal?: AbortSignal;
  /** Give up on a connection after this many milliseconds without a byte; default 30000. */
  readonly stallMs?: number;
  /** Tries after the first, for failures that may pass; default 2. */
  readonly retries?: number;
}

/** A snapshot in the cache. */
export interface HubSnapshot {
  readonly id: string;
  readonly commit: string;
  readonly folder: string;
}

/** `org/name` or `org/name@revision` taken apart, or undefined when it is neither. */
export function parseHubId(source: string): { readonly id: string; readonly revision?: string } | undefined {
  const match = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?$/.exec(source);
  const [, id, revision] = match ?? [];
  if (id === undefined || /--|\.\.|\.git$/.test(id) || id.length > 192 || revision?.includes('..')) return undefined;
  return revision === undefined ? { id } : { id, revision };
}

const NEEDED = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt', 'special_tokens_map.json'];
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/**
 * Brings the model `source` (`org/name[@revision]`) into the cache.
 *
 * @throws CheckpointError M004 (no safetensors), M020…M029, M034
 */
export async function hubSnapshot(source: string, options: HubOptions = {}): Promise<HubSnapshot> {
  const parsed = parseHubId(source);
  if (parsed === undefined) throw new CheckpointError('M020', `${quoted(source)} is not written org/name[@revision]`);
  const { id } = parsed;
  const revision = parsed.revision ?? options.revision ?? 'main';
  const token = options.token ?? (options.hubUrl === undefined ? process.env['HF_TOKEN'] : undefined);
  if (token && !token.startsWith('hf_')) throw new CheckpointError('M020', 'the access token does not start with hf_');
  const hub: Hub = {
    id,
    hubUrl: (options.hubUrl ?? (process.env['HF_ENDPOINT'] || HUB_URL)).replace(/\/+$/, ''),
    token: token || undefined,
    stallMs: options.stallMs ?? 30_000,
    retries: options.retries ?? 2,
    signal: options.signal,
  };
  const places = cachePlaces(options.cacheDir ?? defaultCacheDir(), id, revision);

  const known = isCommit(revision) ? revision : await rememberedCommit(places);
  const kept = known === undefined ? undefined : await completeSnapshot(places, known);
  if (known !== undefined && kept !== undefined && (options.offline || isCommit(revision))) {
    return { id, commit: known, folder: kept };
  }
  if (options.offline)
    throw new CheckpointError('M028', `${id}@${revision} is not in the cache`, { file: places.root });

  let commit: string;
  try {
    commit = await askCommit(hub, revision);
  } catch (error) {
    // Without a network, or with the Hub down, the last known commit is the best answer there is.
    if (known !== undefined && kept !== undefined && isTransient(error)) return { id, commit: known, folder: kept };
    throw error;
  }
  const folder = (await completeSnapshot(places, commit)) ?? (await fill(hub, commit, places, options.onProgress));
  if (revision !== commit) await writeAtomically(places.ref, commit);
  return { id, commit, folder };
}

interface Hub {
  readonly id: string;
  readonly hubUrl: string;
  readonly token: string | undefined;
  readonly stallMs: number;
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
}

async function askCommit(hub: Hub, revision: string): Promise<string> {
  const subject = `${hub.id}@${revision}`;
  const { sha } = await ask(hub, subject, (fetch) =>
    modelInfo({ name: hub.id, revision, additionalFields: ['sha'], fetch, ...access(hub) }),
  );
  if (typeof sha !== 'string' || !isCommit(sha)) {
    throw new CheckpointError('M027', 'the Hub did not say which commit this is', { file: subject });
  }
  return sha;
}

/** One question to the Hub's API, within the stall limit as a whole; tried again as downloads are. */
async function ask<T>(hub: Hub, subject: string, question: (guardedFetch: typeof fetch) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await guarded(`asking about ${subject}`, hub.stallMs, hub.signal, (guard) => question(guard.fetch));
    } catch (error) {
      const problem = hubProblem(error, subject, hub.hubUrl);
      if (tries >= hub.retries || !isTransient(problem)) throw problem;
      await new Promise((resolve) => setTimeout(resolve, Math.min(4000, 250 * 2 ** tries)));
    }
  }
}

/** Downloads what the checkpoint needs into the snapshot's folder, weights last. */
async function fill(
  hub: Hub,
  commit: string,
  places: ReturnType<typeof cachePlaces>,
  onProgress: HubOptions['onProgress'],
): Promise<string> {
  const subject = `${hub.id}@${commit}`;
  const listed = await ask(hub, subject, async (fetch) => {
    const entries = new Map<string, ListFileEntry>();
    for await (const entry of listFiles({ repo: hub.id, revision: commit, fetch, ...access(hub) })) {
      const sound = typeof entry.path === 'string' && Number.isSafeInteger(entry.size) && entry.size >= 0;
      if (entry.type === 'file' && sound) entries.set(entry.path, entry);
    }
    return entries;
  });
  const folder = places.snapshot(commit);
  await inCache(folder, () => mkdir(folder, { recursive: true }));
  const sizes = new Map<string, number>();
  const get = async (name: string): Promise<void> => {
    const entry = listed.get(name);
    if (entry === undefined)
      throw new CheckpointError('M018', `the index names ${name}, the Hub does not list it`, { file: subject });
    const target = join(folder, name);
    const here = await stat(target).catch(() => undefined);
    if (here?.size !== entry.size) {
      await downloadToCache({ ...hub, commit, entry, partial: places.partial, target, onProgress });
    }
    sizes.set(name, entry.size);
  };
  const weights = chooseWeights([...listed.keys()], subject);
  for (const name of NEEDED) if (listed.has(name)) await get(name);
  await get(weights);
  if (weights === INDEX) {
    const index = parseShardIndex(await readFile(join(folder, INDEX), 'utf8'), `${hub.id}/${INDEX}`);
    for (const shard of index.shards) await get(shard);
  }
  await markComplete(folder, sizes);
  return folder;
}

/**
 * Which of a folder's files holds the weights: model.safetensors, else its index, else the only .safetensors file.
 *
 * @throws CheckpointError M004, with how to convert when there are only PyTorch weights
 */
export function chooseWeights(files: readonly string[], where: string): string {
  if (files.includes(WEIGHTS)) return WEIGHTS;
  if (files.includes(INDEX)) return INDEX;
  const others = files.filter((name) => /^[\w.-]+\.safetensors$/.test(name));
  if (others.length === 1 && others[0] !== undefined) return others[0];
  if (others.length > 1) {
    throw new CheckpointError('M004', `several .safetensors files and no ${INDEX} (${others.slice(0, 5).join(', ')})`, {
      file: where,
      hint: `Name the one to read, or rename it to ${WEIGHTS}.`,
    });
  }
  const pickled = files.find((name) => /^(pytorch_model.*\.bin|.*\.(pt|pth|ckpt))$/.test(name));
  throw new CheckpointError('M004', pickled === undefined ? `no ${WEIGHTS}` : `no ${WEIGHTS}, only ${pickled}`, {
    file: where,
    ...(pickled === undefined
      ? {}
      : {
          hint:
            'Convert it in Python: AutoModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True), ' +
            'with the class that config.json names; PyTorch files can run code when loaded, so Espalier does not read them.',
        }),
  });
}

function access(hub: Hub): { hubUrl: string; accessToken?: string } {
  return hub.token === undefined ? { hubUrl: hub.hubUrl } : { hubUrl: hub.hubUrl, accessToken: hub.token };
}
