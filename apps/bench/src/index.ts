/** The bench as a library: works, contenders, measuring, and what is made of the results. */
export * from './bench.ts';
export * from './cli.ts';
export * from './contract.ts';
export { encoderWork } from './encoder.ts';
export * from './measure.ts';
export * from './plan.ts';
export { pageOf } from './report/html.ts';
export { groupText, headText, tailText } from './report/text.ts';
export * from './results.ts';
export { tuneCommand } from './tune/command.ts';
export { type Choice, type TuneOptions, type TuningFile, tuneLayer } from './tune/tune.ts';
export { denseWork, treeWork } from './works.ts';
