/** The validator as a library: cases in, a report as data out. The command line is in main.ts. */

export type { Matrix, PairDifference, Place } from './compare/matrix.ts';
export { UsageError, type UsageErrorCode, usageErrorCodes } from './errors.ts';
export * from './reports/data.ts';
export { reportHtml } from './reports/html/page.ts';
export { reportJson } from './reports/json.ts';
export { families } from './targets/families.ts';
export type * from './targets/family.ts';
export type { Unavailable } from './targets/open.ts';
export { wasmFamily } from './targets/wasm.ts';
export { type Progress, type ValidateOptions, validate } from './validate.ts';
