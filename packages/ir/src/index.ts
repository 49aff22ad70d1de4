/**
 * The layer language of Espalier: text or builder → syntax tree → checked Layer IR, with diagnostics, and the standard
 * library written in the language.
 */
export * as build from './builder/index.ts';
export type { LayerArgs } from './check/params.ts';
export { childrenOf } from './children.ts';
export {
  closest,
  codes,
  type Diagnostic,
  type DiagnosticCode,
  DiagnosticError,
  type Label,
  renderDiagnostic,
} from './diagnostics/index.ts';
export { dumpLayerIR } from './dump.ts';
export { checkModule, type ElaborateArgs, elaborate, layerFromText } from './elaborate.ts';
export * from './graph.ts';
export { checkGraph, GraphError, type GraphErrorCode } from './graph-check.ts';
export * from './interpret/index.ts';
export * from './layer-ir.ts';
export type { Size, Term } from './size.ts';
export * as Sizes from './size.ts';
export { standardLayer, standardLayerNames, standardSource } from './standard/index.ts';
export type * from './syntax/ast.ts';
export { parseModule } from './syntax/parse.ts';
export { printModule } from './syntax/print.ts';
export { traceLayer } from './trace.ts';
