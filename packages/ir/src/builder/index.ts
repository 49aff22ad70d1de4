/** The builder: the layer language as TypeScript calls. Use it as a namespace: `import { build } from '@espalier/ir'`. */
export * from './expr.ts';
export {
  type Define,
  defineFunction,
  type FunctionOption,
  fn,
  type LayerBuilder,
  type LayerHead,
  layer,
  module,
  type TensorHandle,
  type WeightOptions,
} from './layer.ts';
