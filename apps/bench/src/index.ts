/** The bench as a library: works, contenders, measuring, and what is made of the results. */
export { benchOptions } from './arguments.ts';
export * from './bench.ts';
export * from './cli.ts';
export * from './contract.ts';
export { encoderWork } from './encoder.ts';
export { keyText, type MachineKey, machineKey, processor, sameMachine } from './machine.ts';
export * from './measure.ts';
export * from './plan.ts';
export { pageOf } from './report/html.ts';
export { markdownOf } from './report/markdown.ts';
export { groupText, headText, tailText, targetsText } from './report/text.ts';
export * from './results.ts';
export { type Judged, judge, type Target, targets } from './targets.ts';
export { tuneCommand, tuneOptions } from './tune/command.ts';
export { shippedTuning, shippedTunings } from './tune/shipped.ts';
export { type Choice, type TuneOptions, type TuningFile, tuneLayer } from './tune/tune.ts';
export { denseWork, treeWork } from './works.ts';
