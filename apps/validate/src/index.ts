/** The validator as a library: cases in, a report as data out. The command line is in main.ts. */
export { UsageError, type UsageErrorCode, usageErrorCodes } from './errors.ts';
export * from './reports/data.ts';
export { reportHtml } from './reports/html/page.ts';
export { reportJson } from './reports/json.ts';
export type { OpenTarget, TargetFamily } from './targets/family.ts';
export { wasmFamily } from './targets/wasm.ts';
export { type Progress, type ValidateOptions, validate } from './validate.ts';
