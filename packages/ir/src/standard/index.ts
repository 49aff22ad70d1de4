/** The standard library: layers written in the language, with no privilege over a user's own. */

import type { LayerArgs } from '../check/params.ts';
import { DiagnosticError, diagnostic, suggest } from '../diagnostics/index.ts';
import { elaborate } from '../elaborate.ts';
import type { LayerIR } from '../layer-ir.ts';
import type { Module } from '../syntax/ast.ts';
import { thaw } from './frozen.ts';
import { layerTexts } from './layers.generated.ts';
import { layerModules } from './modules.generated.ts';
import { preludeName } from './prelude.ts';

/** Names of the standard layers, sorted. */
export const standardLayerNames: readonly string[] = Object.keys(layerTexts).filter((n) => n !== preludeName);

const modules = new Map<string, Module>();

/**
 * The text of a standard layer, or of the prelude ("functions").
 *
 * @throws DiagnosticError for a name that the library lacks
 */
export function standardSource(name: string): string {
  const text = Object.hasOwn(layerTexts, name) ? layerTexts[name] : undefined;
  if (text !== undefined) return text;
  const span = { source: name, start: 0, end: 0 };
  const help = suggest(name, standardLayerNames, 'layers') ?? `standard layers: ${standardLayerNames.join(', ')}`;
  throw new DiagnosticError([diagnostic('E201', span, `the standard library has no layer \`${name}\``, { help })], []);
}

/**
 * A standard layer with dims and options bound; see `elaborate`.
 *
 * @throws DiagnosticError for an unknown layer or wrong arguments
 */
export function standardLayer(name: string, args: LayerArgs = {}): LayerIR {
  let module = modules.get(name);
  if (module === undefined) {
    standardSource(name);
    module = thaw(layerModules[name] ?? '', `espalier/${name}.layer`);
    modules.set(name, module);
  }
  return elaborate(module, { ...args, layer: name });
}
