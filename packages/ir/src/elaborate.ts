/**
 * The front door of the checker: a module, or its text, to the Layer IR of one of its layers, and the generic check of
 * all its layers with nothing bound.
 */

import { tableOf } from './check/functions.ts';
import { checkLayer } from './check/layer.ts';
import { checkFunctions, checkTopLevel } from './check/module.ts';
import type { LayerArgs } from './check/params.ts';
import { type Diagnostic, DiagnosticError, diagnostic, suggest } from './diagnostics/index.ts';
import type { LayerIR, Source, Span } from './layer-ir.ts';
import { prelude } from './standard/prelude.ts';
import { type LayerSyntax, layersOf, type Module } from './syntax/ast.ts';
import { parseModule } from './syntax/parse.ts';

export interface ElaborateArgs extends LayerArgs {
  /** Which layer of the module; may be left out when there is one. */
  readonly layer?: string;
}

const sourcesOf = (module: Module): readonly Source[] => [module.source, prelude().source];

const start = (module: Module): Span => ({
  source: module.source.name,
  start: 0,
  end: Math.min(1, module.source.text.length),
});

function pick(module: Module, wanted: string | undefined): LayerSyntax {
  const layers = layersOf(module);
  const names = layers.map((l) => l.name.text);
  const refuse = (code: 'E009' | 'E201', span: Span, message: string, help: string | null): never => {
    throw new DiagnosticError([diagnostic(code, span, message, { help })], sourcesOf(module));
  };
  const [first, second] = layers;
  if (first === undefined) {
    return refuse('E009', start(module), 'there is no layer in this file', 'write one: `layer name(T, D) { … }`');
  }
  if (wanted === undefined) {
    if (second === undefined) return first;
    return refuse(
      'E201',
      second.name.span,
      `the file has ${layers.length} layers, and none is asked for`,
      `choose one: ${names.map((n) => `\`${n}\``).join(', ')}`,
    );
  }
  const found = layers.find((l) => l.name.text === wanted);
  return (
    found ??
    refuse('E201', first.name.span, `there is no layer \`${wanted}\` in this file`, suggest(wanted, names, 'layers'))
  );
}

/**
 * The Layer IR of a layer with dims and options bound. Dims without a value become runtime dims.
 *
 * @throws DiagnosticError with every independent problem found
 */
export function elaborate(module: Module, args: ElaborateArgs = {}): LayerIR {
  const layer = pick(module, args.layer);
  const problems: Diagnostic[] = [...checkTopLevel(module)];
  const checked = checkLayer(layer, tableOf(module, tableOf(prelude(), null)), args, false);
  problems.push(...checked.problems);
  if (checked.layer === null || problems.length > 0) throw new DiagnosticError(unique(problems), sourcesOf(module));
  return { ...checked.layer, sources: sourcesOf(module).filter((s) => checked.sources.has(s.name)) };
}

/**
 * Reads a text and elaborates a layer of it; `name` is what diagnostics call the text.
 *
 * @throws DiagnosticError for mistakes in the text or in the arguments
 */
export function layerFromText(text: string, args: ElaborateArgs & { readonly name?: string } = {}): LayerIR {
  return elaborate(parseModule(text, args.name), args);
}

/**
 * The generic check: every layer with nothing bound and default options, every function. Never throws for a mistake in
 * the text (`name` is what diagnostics call it); an empty list means that the file is sound. Sizes that are only equal for some values count as different.
 */
export function checkModule(input: string | Module, name = 'layer'): readonly Diagnostic[] {
  let module: Module;
  if (typeof input === 'string') {
    try {
      module = parseModule(input, name);
    } catch (error) {
      if (error instanceof DiagnosticError) return error.diagnostics;
      throw error;
    }
  } else {
    module = input;
  }
  const functions = tableOf(module, tableOf(prelude(), null));
  const problems: Diagnostic[] = [...checkTopLevel(module), ...checkFunctions(module, functions)];
  if (module.items.length === 0) {
    problems.push(
      diagnostic('E009', start(module), 'there is no layer in this file', {
        help: 'write one: `layer name(T, D) { … }`',
      }),
    );
  }
  for (const layer of layersOf(module)) problems.push(...checkLayer(layer, functions, {}, true).problems);
  return unique(problems);
}

/** A mistake in a function shows up at every call; once is enough. */
function unique(problems: readonly Diagnostic[]): readonly Diagnostic[] {
  const seen = new Set<string>();
  return problems.filter((p) => {
    const key = `${p.code} ${p.span.source} ${p.span.start} ${p.span.end} ${p.message}`;
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}
