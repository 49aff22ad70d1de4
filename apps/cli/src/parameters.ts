/** What a layer can be called with, read from its syntax: dims, which of them must be known to compile it, options. */
import type { LayerSyntax, Module } from '@espalier/ir';

export type OptionDefault = boolean | number | string;

export interface Parameters {
  readonly name: string;
  readonly dims: readonly string[];
  /** The dims that shapes of weights depend on: these must have a value when the layer is compiled. */
  readonly fixed: readonly string[];
  /** Options with their defaults; functions by name. */
  readonly options: Readonly<Record<string, OptionDefault>>;
}

/** The layers of a module. */
export const layersIn = (module: Module): readonly LayerSyntax[] =>
  module.items.filter((item) => item.kind === 'layer');

/** Reads the parameters of a layer. */
export function parametersOf(layer: LayerSyntax): Parameters {
  const dims = layer.dims.map((dim) => dim.text);
  const lets = new Map<string, ReadonlySet<string>>();
  const fixed = new Set<string>();
  for (const statement of layer.statements) {
    if (statement.kind === 'let') lets.set(statement.name.text, namesIn(statement.value, lets));
    if (statement.kind !== 'weight') continue;
    for (const { shape } of statement.tensors) for (const name of namesIn(shape, lets)) fixed.add(name);
  }
  return {
    name: layer.name.text,
    dims,
    fixed: dims.filter((dim) => fixed.has(dim)),
    options: Object.fromEntries(
      layer.options.map(({ name, value }) => [name.text, value.kind === 'function' ? value.name : value.value]),
    ),
  };
}

/** All names in a piece of syntax; those of lets stand for the names in them. */
function namesIn(syntax: unknown, lets: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
  const names = new Set<string>();
  const see = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { kind, name } = node as { readonly kind?: unknown; readonly name?: unknown };
    if (kind === 'name' && typeof name === 'string') for (const inner of lets.get(name) ?? [name]) names.add(inner);
    for (const child of Object.values(node)) see(child);
  };
  see(syntax);
  return names;
}

/** "ff(T, D, H, O; activation = gelu)". */
export function signatureOf({ name, dims, options }: Parameters): string {
  const named = Object.entries(options).map(([option, value]) => `${option} = ${value}`);
  return `${name}(${dims.join(', ')}${named.length > 0 ? `; ${named.join(', ')}` : ''})`;
}

/** The comment that opens a text, as one line of prose; empty without one. */
export function openingComment(text: string): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines
    .slice(0, end === -1 ? lines.length : end)
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join(' ')
    .trim();
}

/** Prose up to the first full stop that ends a sentence. */
export const firstSentence = (text: string): string => /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
