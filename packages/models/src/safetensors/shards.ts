/**
 * Checkpoints cut into shards: `model.safetensors.index.json` says which file holds which tensor. Index and shards must
 * tell the same story, tensor by tensor.
 */
import { CheckpointError, quoted } from '../errors.ts';
import { asRecord, kindOf, parseJson } from '../json.ts';
import type { TensorView } from './dtype.ts';
import type { SafetensorsFile } from './read.ts';

/** A checked index. */
export interface ShardIndex {
  /** File of each tensor. */
  readonly shardOf: ReadonlyMap<string, string>;
  /** All files, sorted, plain names in the index's own folder. */
  readonly shards: readonly string[];
}

/**
 * Parses an index.
 *
 * @throws CheckpointError M003 for bad JSON, M018 for another form or a shard outside the index's folder
 */
export function parseShardIndex(text: string, file: string): ShardIndex {
  const map = asRecord(asRecord(parseJson(text, file))?.['weight_map']);
  if (map === undefined) throw new CheckpointError('M018', 'the index has no "weight_map" object', { file });
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !/^[\w.-]+\.safetensors$/.test(shard)) {
      throw new CheckpointError(
        'M018',
        `the shard must be a .safetensors file beside the index, not ${kindOf(shard)}`,
        {
          file,
          tensor,
        },
      );
    }
    shardOf.set(tensor, shard);
  }
  if (shardOf.size === 0) throw new CheckpointError('M018', 'the index names no tensor', { file });
  return { shardOf, shards: [...new Set(shardOf.values())].sort() };
}

/**
 * All tensors of a checkpoint, from its shards.
 *
 * @param files a parsed file for each of `index.shards`
 * @throws CheckpointError M018 when a tensor is missing from its shard, or a shard holds one that the index does not give it
 */
export function joinShards(
  index: ShardIndex,
  files: ReadonlyMap<string, SafetensorsFile>,
  file: string,
): ReadonlyMap<string, TensorView> {
  const tensors = new Map<string, TensorView>();
  for (const shard of index.shards) {
    for (const [name, view] of files.get(shard)?.tensors ?? []) {
      const owner = index.shardOf.get(name);
      if (owner !== shard) {
        const says = owner === undefined ? 'does not know it' : `has it in ${quoted(owner)}`;
        throw new CheckpointError('M018', `is in ${quoted(shard)}, but the index ${says}`, { file, tensor: name });
      }
      tensors.set(name, view);
    }
  }
  for (const [name, shard] of index.shardOf) {
    if (!tensors.has(name)) {
      throw new CheckpointError('M018', `is not in ${quoted(shard)}, where the index has it`, { file, tensor: name });
    }
  }
  return tensors;
}
