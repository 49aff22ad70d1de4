/**
 * Opening a checkpoint, wherever it is: a folder, one .safetensors file, or a model of the Hub. What comes back is data
 * only; which layers it describes is decided by whoever reads `config`.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CheckpointError } from '../errors.ts';
import { chooseWeights, type HubOptions, hubSnapshot, parseHubId } from '../hub/snapshot.ts';
import { parseJson } from '../json.ts';
import { checkFinite } from '../safetensors/convert.ts';
import type { TensorView } from '../safetensors/dtype.ts';
import { readSafetensors, type SafetensorsFile } from '../safetensors/read.ts';
import { joinShards, parseShardIndex } from '../safetensors/shards.ts';
import { readBytes, readText } from './files.ts';

/** Paths of the tokenizer's files, those that are there. */
export interface TokenizerFiles {
  /** tokenizer.json: the whole tokenizer. */
  readonly tokenizerJson?: string;
  /** tokenizer_config.json: casing, special tokens, the longest input. */
  readonly tokenizerConfig?: string;
  /** vocab.txt: BERT's vocabulary, one token a line. */
  readonly vocabTxt?: string;
}

/** A checkpoint in memory. */
export interface Checkpoint {
  /** The Hub id, or the name of the folder or file. */
  readonly name: string;
  /** Absolute path of the folder that holds the files. */
  readonly folder: string;
  /** config.json, parsed and otherwise unchecked; undefined when a single file was opened and none lies beside it. */
  readonly config: unknown;
  /** All weights; floating ones are finite unless `allowNonFinite` was given. */
  readonly tensors: ReadonlyMap<string, TensorView>;
  readonly tokenizerFiles: TokenizerFiles;
  /** Names, in `folder`, of all files that belong to the checkpoint. */
  readonly files: readonly string[];
  /** The commit, for a model of the Hub. */
  readonly revision?: string;
}

/** How to open; the Hub's options matter only for Hub ids. */
export interface OpenOptions extends HubOptions {
  /** Accept NaN and infinite weights. */
  readonly allowNonFinite?: boolean;
}

/**
 * Opens `source`: a folder with config.json and safetensors weights, a .safetensors file, or `org/name[@revision]` on
 * the Hub. A path that exists is never looked up on the Hub.
 *
 * @throws CheckpointError M001…M018 for what is wrong with the files, M020…M034 for the Hub
 */
export async function openCheckpoint(source: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const path = resolve(source);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return openFolder(path, basename(path), options);
  if (found !== undefined) return openFile(path, options);
  if (parseHubId(source) === undefined || source.endsWith('.safetensors')) {
    throw new CheckpointError('M001', 'no such file or folder, and not a Hub model either', { file: source });
  }
  const { id, commit, folder } = await hubSnapshot(source, options);
  return { ...(await openFolder(folder, id, options)), revision: commit };
}

async function openFolder(folder: string, name: string, options: OpenOptions): Promise<Checkpoint> {
  const listed = await readdir(folder);
  if (!listed.includes('config.json'))
    throw new CheckpointError('M002', 'the folder has no config.json', { file: folder });
  const config = await readConfig(folder, listed);
  const weights = chooseWeights(listed, folder);
  const files = [weights];
  let tensors: ReadonlyMap<string, TensorView>;
  if (weights.endsWith('.index.json')) {
    const indexPath = join(folder, weights);
    const index = parseShardIndex(await readText(indexPath), indexPath);
    const shards = new Map<string, SafetensorsFile>();
    for (const shard of index.shards) {
      if (!listed.includes(shard)) {
        throw new CheckpointError('M018', `the index names ${shard}, which is not in the folder`, { file: indexPath });
      }
      const shardPath = join(folder, shard);
      shards.set(shard, readSafetensors(await readBytes(shardPath), shardPath));
      files.push(shard);
    }
    tensors = joinShards(index, shards, indexPath);
  } else {
    const weightsPath = join(folder, weights);
    tensors = readSafetensors(await readBytes(weightsPath), weightsPath).tensors;
  }
  return finish({ name, folder, config, tensors, listed, files }, options);
}

async function openFile(path: string, options: OpenOptions): Promise<Checkpoint> {
  const folder = dirname(path);
  if (!path.endsWith('.safetensors')) {
    throw new CheckpointError('M004', 'not a .safetensors file', {
      file: path,
      hint: 'Name a .safetensors file, or the folder of the checkpoint.',
    });
  }
  const { tensors } = readSafetensors(await readBytes(path), path);
  const listed = await readdir(folder);
  const config = await readConfig(folder, listed);
  const name = basename(path, '.safetensors');
  return finish({ name, folder, config, tensors, listed, files: [basename(path)] }, options);
}

async function readConfig(folder: string, listed: readonly string[]): Promise<unknown> {
  if (!listed.includes('config.json')) return undefined;
  const path = join(folder, 'config.json');
  return parseJson(await readText(path), path);
}

interface Parts {
  readonly name: string;
  readonly folder: string;
  readonly config: unknown;
  readonly tensors: ReadonlyMap<string, TensorView>;
  readonly listed: readonly string[];
  readonly files: readonly string[];
}

function finish({ name, folder, config, tensors, listed, files }: Parts, options: OpenOptions): Checkpoint {
  if (!options.allowNonFinite) for (const view of tensors.values()) checkFinite(view);
  const has = (file: string): boolean => listed.includes(file);
  return {
    name,
    folder,
    config,
    tensors,
    tokenizerFiles: {
      ...(has('tokenizer.json') ? { tokenizerJson: join(folder, 'tokenizer.json') } : {}),
      ...(has('tokenizer_config.json') ? { tokenizerConfig: join(folder, 'tokenizer_config.json') } : {}),
      ...(has('vocab.txt') ? { vocabTxt: join(folder, 'vocab.txt') } : {}),
    },
    files: [
      ...['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt', 'special_tokens_map.json'].filter(has),
      ...files,
    ],
  };
}
