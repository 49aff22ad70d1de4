/**
 * What the interpreter says when it cannot go on: a stable code, the tensor or dim, and, where a place in the layer's
 * text is to blame, that line with a caret under it.
 */
import { positionOf } from '../diagnostics/render.ts';
import type { Source, Span } from '../layer-ir.ts';

/**
 * - `missing-dim`, `bad-dim`, `unknown-dim`: the dims given are not those of the layer;
 * - `missing-tensor`, `unknown-tensor`: the tensors given are not the layer's inputs and weights;
 * - `wrong-length`, `bad-shape`, `bad-element`: a tensor doesn't fit its shape or its storage;
 * - `out-of-range`: an index met at run time lies outside its tensor;
 * - `bad-divisor`: a size that divides is below 1 at run time.
 */
export type InterpretErrorCode =
  | 'missing-dim'
  | 'bad-dim'
  | 'unknown-dim'
  | 'missing-tensor'
  | 'unknown-tensor'
  | 'wrong-length'
  | 'bad-shape'
  | 'bad-element'
  | 'out-of-range'
  | 'bad-divisor';

/** Thrown by `interpretLayer` and `interpretGraph`; `subject` is the tensor or dim it is about. */
export class InterpretError extends Error {
  override readonly name = 'InterpretError';
  readonly code: InterpretErrorCode;
  readonly subject: string;

  constructor(code: InterpretErrorCode, subject: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.subject = subject;
  }
}

/** "fff.layer:8:12" and the line with a caret, or only the source's name when its text isn't at hand. */
export function showSpan(sources: readonly Source[], span: Span): string {
  const source = sources.find((s) => s.name === span.source);
  if (source === undefined || span.start > source.text.length) return span.source;
  const { line, column } = positionOf(source.text, span.start);
  const text = (source.text.split('\n')[line - 1] ?? '').replace(/[\t\r]/g, ' ');
  const width = Math.max(1, Math.min(span.end - span.start, text.length - column + 1));
  const gutter = ' '.repeat(String(line).length);
  const marks = ' '.repeat(column - 1) + '^'.repeat(width);
  return `${span.source}:${line}:${column}\n${line} | ${text}\n${gutter} | ${marks}`;
}
