/** The functions that every module sees: layers/functions.layer. */
import type { Module } from '../syntax/ast.ts';
import { thaw } from './frozen.ts';
import { layerModules } from './modules.generated.ts';

/** The file of the prelude; the others in layers/ are layers. */
export const preludeName = 'functions';

let parsed: Module | null = null;

/** The prelude, read on first use. */
export function prelude(): Module {
  parsed ??= thaw(layerModules[preludeName] ?? '', `espalier/${preludeName}.layer`);
  return parsed;
}
