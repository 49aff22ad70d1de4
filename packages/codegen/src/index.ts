/** Lowers Layer IR to kernels: Kernel IR, strategies, schedules, the pipeline, targets, artefacts. */

export { CompileError, type CompileOptions, compile } from './compile.ts';
export { compileGraph } from './compile-graph.ts';
export * as kernelIr from './kernel-ir/build.ts';
export { printExpr, printKernel } from './kernel-ir/print.ts';
export type * from './kernel-ir/types.ts';
export { elementBytes, tensorStorage } from './kernel-ir/types.ts';
export { VerifyError, verify } from './kernel-ir/verify.ts';
export { partition, type Unit } from './lower/partition.ts';
export { scratchOf, spill } from './passes/spill.ts';
export { type Observe, pipelineFor, stageNames } from './pipeline.ts';
export { applySchedule, applyStep } from './schedule/apply.ts';
export { type Schedule, ScheduleRefusal, type Step } from './schedule/steps.ts';
export * from './simulate/index.ts';
export { toSizeExpr } from './size-expr.ts';
export type { Capabilities, Form, KernelPass, Target, Variant } from './target.ts';
export { CudaRefusal, cuda } from './targets/cuda/index.ts';
export { WasmRefusal, wasm } from './targets/wasm/index.ts';
export { wgsl } from './targets/wgsl/index.ts';
export { shapeOf, type Tuning, tuned } from './tuning.ts';
export { tuningProblem } from './tuning-check.ts';
export { GENERATOR } from './version.ts';
