/** Checkpoints: config, weights and tokenizer files of one model, from a folder, a file or the Hub. */
export { type Checkpoint, type OpenOptions, openCheckpoint, type TokenizerFiles } from './open.ts';
