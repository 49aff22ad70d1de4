/** Runs Kernel IR lane by lane on a device of the runtime's contract, and reports what is wrong with it. */
export { type Finding, type FindingKind, formatFinding } from '@espalier/codegen';
export { SimulatedBuffer } from './buffer.ts';
export { openSimulator, SimulatorDevice, type SimulatorOptions } from './device.ts';
export { SimulationError } from './errors.ts';
export { parseKernels, printKernels } from './kernel-file.ts';
export { SimulatedProgram } from './program.ts';
export { SimulatedSubmission } from './submission.ts';
export { simulatorTarget } from './target.ts';
