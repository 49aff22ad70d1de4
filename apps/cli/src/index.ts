/** The command line as a function, its table of targets, and its colours: for programs that build on it. */
export { LayerProblem, UsageError, type UsageErrorCode, usageErrorCodes } from './errors.ts';
export { runCommand } from './run.ts';
export type { ExitCode, Stream, Surroundings } from './surroundings.ts';
export { type KnownTarget, targetNames, targets } from './targets.ts';
export { highlight } from './terminal/highlight.ts';
