/**
 * Syntax trees as text, so that the library's own layers need no parsing (starting the parser takes longer than compiling
 * a layer). Spans are written as a pair of offsets; the source's name is put back when read.
 */
import type { Module } from '../syntax/ast.ts';

const isSpan = (value: object): value is { source: string; start: number; end: number } =>
  'source' in value && 'start' in value && 'end' in value && Object.keys(value).length === 3;

/** The tree as text. All spans must point into one source. */
export const freeze = (module: Module): string =>
  JSON.stringify(module, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && isSpan(value) ? { $: [value.start, value.end] } : value,
  );

/** The tree back from its text. */
export const thaw = (text: string, source: string): Module =>
  JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('$' in value)) return value;
    const [start, end] = value.$ as [number, number];
    return { source, start, end };
  }) as Module;
