/**
 * A diagnostic is a value: what is wrong, where, what else has to do with it, and a way out. Checks collect them;
 * only the public functions throw, once, with all of them.
 */
import type { Source, Span } from '../layer-ir.ts';
import type { DiagnosticCode } from './codes.ts';
import { renderDiagnostic } from './render.ts';

/** A second place that has to do with a problem, e.g. where a shape was declared. */
export interface Label {
  readonly span: Span;
  readonly text: string;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** One sentence without a full stop. */
  readonly message: string;
  /** The place that carries the carets. */
  readonly span: Span;
  readonly labels: readonly Label[];
  /** The way out, or null where the message says it all. */
  readonly help: string | null;
}

/** How many diagnostics an error's message spells out; the others are in `diagnostics`. */
const shownInMessage = 20;

/** What every function of this package throws for a mistake in a layer or in what it is elaborated with. */
export class DiagnosticError extends Error {
  override readonly name = 'DiagnosticError';
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: readonly Source[];

  constructor(diagnostics: readonly Diagnostic[], sources: readonly Source[]) {
    const more = diagnostics.length - shownInMessage;
    const shown = diagnostics.slice(0, shownInMessage).map((d) => renderDiagnostic(d, sources));
    super([...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n\n'));
    this.diagnostics = diagnostics;
    this.sources = sources;
  }
}

/** Builds a diagnostic; labels and help may be left out. */
export function diagnostic(
  code: DiagnosticCode,
  span: Span,
  message: string,
  more: { readonly labels?: readonly Label[]; readonly help?: string | null } = {},
): Diagnostic {
  return { code, message, span, labels: more.labels ?? [], help: more.help ?? null };
}
