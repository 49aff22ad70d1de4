/** Graphs of layers: how they are built, fed with text, and read. */
export {
  type GraphBuilder,
  graphBuilder,
  type LayerChoice,
  type LayerMaker,
  type NodeSpec,
  type OptionValue,
} from './builder.ts';
export { type EncoderBlock, type EncoderShape, encoderGraph, projectionOf } from './encoder.ts';
export {
  type Candidate,
  type ClassScore,
  classScores,
  type FedText,
  feedText,
  type MaskPrediction,
  type ModelOutputs,
  maskPositions,
  type ReadOut,
  readOut,
  similarities,
  softmax,
  topOf,
} from './text.ts';
