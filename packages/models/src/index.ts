/** Checkpoints, tokenizers and graphs of models: what stands between a file on disk or the Hub and the compiler. */
export * from './checkpoint/index.ts';
export { CHECKPOINT_ERRORS, CheckpointError, type CheckpointErrorCode, type CheckpointErrorPlace } from './errors.ts';
export * from './families/index.ts';
export * from './graphs/index.ts';
export * from './hub/index.ts';
export * from './safetensors/index.ts';
export * from './tokenizer/index.ts';
