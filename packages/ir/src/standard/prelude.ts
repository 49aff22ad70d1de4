/** The functions that every module sees: layers/functions.layer. */
import type { Module } from '../syntax/ast.ts';
import { parseModule } from '../syntax/parse.ts';
import { layerTexts } from './layers.generated.ts';

/** The file of the prelude; the others in layers/ are layers. */
export const preludeName = 'functions';

let parsed: Module | null = null;

/** The prelude, read on first use. */
export function prelude(): Module {
  parsed ??= parseModule(layerTexts[preludeName] ?? '', `espalier/${preludeName}.layer`);
  return parsed;
}
