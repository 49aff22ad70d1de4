/** The safetensors format: dtypes, reading, conversion to numbers, writing, and checkpoints cut into shards. */

export { checkFinite, toFloat32, toFloat64, toInt32 } from './convert.ts';
export { DTYPE_BYTES, type Dtype, elementCount, isDtype, type TensorView } from './dtype.ts';
export { MAX_HEADER_BYTES } from './header.ts';
export { readSafetensors, type SafetensorsFile } from './read.ts';
export { joinShards, parseShardIndex, type ShardIndex } from './shards.ts';
export { type TensorData, writeSafetensors } from './write.ts';
