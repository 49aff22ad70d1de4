/** The float64 interpreter: the meaning of layers and graphs. */
export { InterpretError, type InterpretErrorCode } from './errors.ts';
export { type GraphRun, type InterpretGraphOptions, interpretGraph } from './graph.ts';
export { type Computed, type InterpretOptions, interpretLayer } from './layer.ts';
export { decodeHalf } from './tensors.ts';
