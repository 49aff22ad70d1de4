/** Typed TypeScript modules for artefacts. An entry of its own (`@espalier/codegen/bindings`), so that the compiler alone loads no TypeScript. */
export { type BindingOptions, generateBinding } from './generate.ts';
