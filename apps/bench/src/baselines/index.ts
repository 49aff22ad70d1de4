/** Everybody who is compared with. */
import type { Baseline } from '../contract.ts';
import { jaxJs } from './jax.ts';
import { cTree, openBlas, publishedTree } from './native.ts';
import { onnxruntimeNode, onnxruntimeWeb } from './onnxruntime.ts';
import { tfjsWasm } from './tfjs.ts';
import { transformersJs } from './transformers.ts';

export const baselines: readonly Baseline[] = [
  onnxruntimeNode,
  openBlas,
  onnxruntimeWeb,
  tfjsWasm,
  jaxJs,
  transformersJs,
  cTree,
  publishedTree,
];
