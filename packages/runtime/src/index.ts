/** The contract every runtime keeps, and what is shared by all of them: layers, graphs, weight packing, memory plans, errors. */
export { checkCompiledFor } from './artefact-check.ts';
export * from './contract.ts';
export { formatShape, formatSize, inferDims } from './dims.ts';
export * from './errors.ts';
export { GraphInstance, type GraphOptions, type GraphRun, loadGraph, type OutputTensor } from './graph.ts';
export { checkGraph } from './graph-check.ts';
export * from './graph-plan.ts';
export {
  checkLaunch,
  checkRange,
  type MadeBy,
  type Owned,
  type Ownership,
  type OwnLaunch,
  wrongSubmission,
} from './launch-check.ts';
export * from './layer.ts';
export * from './memory-plan.ts';
export { PreparedGraph, type TensorViews } from './prepared.ts';
export * from './tensor-data.ts';
