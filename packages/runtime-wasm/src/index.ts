/** Runs Espalier artefacts as WebAssembly, in Node and in browsers. */
export { Allocator, type AllocatorStatistics } from './allocator.ts';
export { WasmBuffer } from './buffer.ts';
export { WasmDevice, type WasmMemoryStatistics } from './device.ts';
export * from './open.ts';
export { WasmProgram } from './program.ts';
export { withSharedMemory } from './shared-import.ts';
export { WasmSubmission } from './submission.ts';
export * from './variants.ts';
