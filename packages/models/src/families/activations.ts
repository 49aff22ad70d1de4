/** The activations that checkpoints name, and what the layer language calls them. */
import { type ConfigSection, shown } from './config.ts';

/** Hugging Face's `ACT2FN`. "gelu" is the erf form; the tanh forms differ among themselves by less than 1e-10. */
const HUGGING_FACE: Readonly<Record<string, string>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  relu2: 'relu_squared',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
  mish: 'mish',
  linear: 'identity',
};

/** Modules of `torch.nn` with their default arguments. */
const TORCH: Readonly<Record<string, string>> = {
  GELU: 'gelu',
  ReLU: 'relu',
  SiLU: 'silu',
  Tanh: 'tanh',
  Sigmoid: 'sigmoid',
  Mish: 'mish',
  Softplus: 'softplus',
  LeakyReLU: 'leaky_relu',
  Identity: 'identity',
};

function lookUp(table: Readonly<Record<string, string>>, config: ConfigSection, key: string, name: string): string {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found !== undefined) return found;
  throw config.error(
    'M102',
    key,
    `is ${shown(name)}, an activation that is not supported`,
    `Supported: ${Object.keys(table).join(', ')}.`,
  );
}

/** The function named at `key`, as Hugging Face names them. Throws CheckpointError M102 for an unsupported one. */
export function huggingFaceActivation(config: ConfigSection, key: string, fallback: string): string {
  return lookUp(HUGGING_FACE, config, key, config.text(key, fallback));
}

/**
 * The function named at `key`, a module of torch.nn; crammedBERT writes "GELUglu" for a gated block with GELU.
 * Throws CheckpointError M102 for an unsupported one.
 */
export function torchActivation(
  config: ConfigSection,
  key: string,
): { readonly activation: string; readonly gated: boolean } {
  const name = config.text(key);
  const gated = name.toLowerCase().includes('glu');
  return { activation: lookUp(TORCH, config, key, gated ? (name.split('glu')[0] as string) : name), gated };
}
