/** What the compiler hands to a runtime. No dependency, no code beyond reading it. */
export { sha256Hex, verifyChecksum } from './checksum.ts';
export * from './errors.ts';
export * from './files.ts';
export * from './graph.ts';
export * from './graph-file.ts';
export * from './layout.ts';
export * from './manifest.ts';
export * from './size-expr.ts';
export { checkManifest } from './validate.ts';
