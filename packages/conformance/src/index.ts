/** The suite a target or runtime author runs. */
export * from './conditioning.ts';
export * from './fault-cases.ts';
export * from './layer-case.ts';
export * from './odd-layers.ts';
export * from './program.ts';
export * from './random.ts';
export * from './random-program.ts';
export * from './random-report.ts';
export * from './standard-cases.ts';
export * from './suite.ts';
