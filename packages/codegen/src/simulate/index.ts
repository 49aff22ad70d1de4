/** Runs Kernel IR and tells what is wrong with it: `simulate`, and what a simulated device is made of. */
export { type Finding, type FindingKind, Findings, formatFinding, type LanePlace } from './findings.ts';
export type { Bound } from './memory.ts';
export {
  type KernelRun,
  prepareKernel,
  type SimulatedKernel,
  type SimulateOptions,
  type Simulation,
  simulate,
} from './simulate.ts';
