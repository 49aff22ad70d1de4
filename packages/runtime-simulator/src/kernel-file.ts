/**
 * Kernels as the source text of an artefact: JSON of the Kernel IR. The numbers that JSON can't hold, which only literals
 * have, are written as text: "Infinity", "-Infinity", "NaN", "-0".
 */
import { ArtefactError } from '@espalier/artefact';
import type { Kernel } from '@espalier/codegen';

const FORMAT = 'espalier-kernels';
const VERSION = 1;

/** The text of a layer's kernels. `header` says where they are from. */
export function printKernels(kernels: readonly Kernel[], header: readonly string[]): string {
  const encode = (_: string, value: unknown): unknown =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? Object.is(value, -0)
        ? '-0'
        : String(value)
      : value;
  return `${JSON.stringify({ format: FORMAT, version: VERSION, header, kernels }, encode, 1)}\n`;
}

const isLiteral = (value: unknown): value is { readonly kind: 'literal'; readonly value: unknown } =>
  typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'literal';

/**
 * Reads what `printKernels` wrote. `name` is the layer's, for errors. Throws ArtefactError A010 for a text that holds no
 * kernels, or those of another version. It checks no more: what is wrong with a kernel is for the simulator to find.
 */
export function parseKernels(text: string, name: string): readonly Kernel[] {
  const refuse = (why: string): ArtefactError =>
    new ArtefactError('A010', `the source of ${name} holds no kernels to simulate: ${why}; compile the layer again`);
  let file: unknown;
  try {
    file = JSON.parse(text, (_, value: unknown) =>
      isLiteral(value) && typeof value.value === 'string' ? { ...value, value: Number(value.value) } : value,
    );
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause));
  }
  const { format, version, kernels } = (file ?? {}) as Readonly<Record<'format' | 'version' | 'kernels', unknown>>;
  if (format !== FORMAT) throw refuse(`its format is ${JSON.stringify(format)}, not "${FORMAT}"`);
  if (version !== VERSION) throw refuse(`its version is ${JSON.stringify(version)}, not ${VERSION}`);
  if (!Array.isArray(kernels) || !kernels.every(isKernel)) throw refuse('its kernels are not complete');
  return kernels;
}

const isKernel = (value: unknown): value is Kernel => {
  const k = (value ?? {}) as Readonly<Record<keyof Kernel, unknown>>;
  return typeof k.name === 'string' && [k.buffers, k.dims, k.body, k.faults].every(Array.isArray);
};
