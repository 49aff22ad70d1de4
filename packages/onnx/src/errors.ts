/**
 * What can stop the export of a sound graph (`checkGraph` has said so). Wrong shapes and indices of the data are found by ONNX
 * Runtime when the model runs.
 */
import type { Source, Span } from '@espalier/ir';

/** What each code means and what a reader can do about it. Codes are never reused. */
export const ONNX_EXPORT_ERRORS = {
  'unknown-output': 'Name tensors of the graph (Graph.tensors), or ask for "all".',
  'runtime-levels': 'Make the number of levels a compile-time dim: a descent is exported level by level.',
  'name-collision': 'Rename the dim or the tensor: in an ONNX model both become names of values.',
  'too-large':
    'Export fewer layers at a time (options.outputs leaves out what nobody asked for), or store weights as f16.',
} as const;

/** A stable code of {@link OnnxExportError}. */
export type OnnxExportErrorCode = keyof typeof ONNX_EXPORT_ERRORS;

/** Where an export stopped. */
export interface OnnxExportPlace {
  /** The graph node, by id. */
  readonly node?: string | undefined;
  /** The tensor, weight or dim it is about, by the name the layer (or graph) gives it. */
  readonly subject?: string | undefined;
  readonly span?: Span | undefined;
  /** The layer's sources, to show where the span is. */
  readonly sources?: readonly Source[] | undefined;
}

/** "fff.layer:8:12", or only the source's name when its text isn't at hand. */
function position({ span, sources = [] }: OnnxExportPlace): string {
  const before = sources.find((source) => source.name === span?.source)?.text.slice(0, span?.start);
  if (span === undefined || before === undefined) return span?.source ?? '';
  return `${span.source}:${before.split('\n').length}:${before.length - before.lastIndexOf('\n')}`;
}

/** Thrown by `exportOnnx`: a code, where, what, and the way out. */
export class OnnxExportError extends Error {
  readonly code: OnnxExportErrorCode;
  readonly place: OnnxExportPlace;

  constructor(code: OnnxExportErrorCode, detail: string, place: OnnxExportPlace = {}) {
    const where = [place.node === undefined ? '' : `node ${place.node}`, position(place)].filter((part) => part !== '');
    super(`${[code, ...where, detail].join(': ')}. ${ONNX_EXPORT_ERRORS[code]}`);
    this.name = 'OnnxExportError';
    this.code = code;
    this.place = place;
  }
}
