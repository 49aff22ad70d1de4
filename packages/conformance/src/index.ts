/** The suite a target or runtime author runs. */
export * from './layer-case.ts';
export * from './random.ts';
