/** Diagnostics: codes, values, text. */
export { codes, type DiagnosticCode } from './codes.ts';
export { type Diagnostic, DiagnosticError, diagnostic, type Label } from './diagnostic.ts';
export { positionOf, renderDiagnostic } from './render.ts';
export { closest, suggest } from './suggest.ts';
