/** Everybody who is compared with. */
import type { Baseline } from '../contract.ts';
import { jaxJs } from './jax.ts';
import { openBlas, openBlas256 } from './native/dense.ts';
import { publishedBmm, publishedLevel1, publishedLevel2, publishedNaive, publishedTree } from './native/published.ts';
import { cTree, cTreeF16, cTreeTiled } from './native/tree.ts';
import { onnxruntimeNode, onnxruntimeWeb } from './onnxruntime.ts';
import { tfjsWasm } from './tfjs.ts';
import { transformersJs } from './transformers.ts';

export const baselines: readonly Baseline[] = [
  onnxruntimeNode,
  openBlas,
  openBlas256,
  onnxruntimeWeb,
  tfjsWasm,
  jaxJs,
  transformersJs,
  cTree,
  cTreeTiled,
  cTreeF16,
  publishedTree,
  publishedLevel1,
  publishedLevel2,
  publishedNaive,
  publishedBmm,
];
