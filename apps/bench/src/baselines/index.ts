/** Everybody who is compared with. */
import type { Baseline } from '../contract.ts';
import { cTree, openBlas, publishedTree } from './native.ts';
import { onnxruntimeNode, onnxruntimeWeb } from './onnxruntime.ts';
import { tfjsWasm } from './tfjs.ts';

export const baselines: readonly Baseline[] = [
  onnxruntimeNode,
  openBlas,
  onnxruntimeWeb,
  tfjsWasm,
  cTree,
  publishedTree,
];
