/** Runs Espalier artefacts on WebGPU, in browsers and in Node. */
export { WebGpuBuffer } from './buffer.ts';
export { type CompilerCapabilities, compilerCapabilities } from './capabilities.ts';
export { countersBetween, type WebGpuCounters } from './counters.ts';
export { WebGpuDevice } from './device.ts';
export type { WebGpuLoss } from './host.ts';
export * from './open.ts';
export { WebGpuProgram } from './program.ts';
export * from './recovery.ts';
export { WebGpuSubmission } from './submission.ts';
