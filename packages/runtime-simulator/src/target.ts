/**
 * The target of the simulator: another target's kernels, stopped before what is particular to its machine. They have that
 * target's variants, schedules and scratch memory, and every pass that targets share, so what is simulated is what it runs.
 */
import { type KernelPass, scratchOf, spill, type Target, toSizeExpr } from '@espalier/codegen';
import { printKernels } from './kernel-file.ts';

/** Bytes of private arrays a lane of the plain machine keeps: few, so that the move to scratch memory is simulated too. */
const PRIVATE_BYTES = 256;

/** A machine of no maker: every thread takes a grid step of its own. The odd sizes are no accident: they make tails. */
const plain: Pick<Target, 'defaults' | 'variants' | 'schedule'> & { readonly spill: KernelPass } = {
  defaults: {},
  variants: () => [{ name: '', from: 0, form: { form: 'elements' } }],
  schedule: () => [{ step: 'spread', subgroups: 3, lanes: 4 }],
  spill: { name: 'spill', run: (kernel) => spill(kernel, PRIVATE_BYTES) },
};

/**
 * A target whose artefacts a simulated device runs. `base`: the target whose kernels they are, with its capabilities;
 * without, those of a plain machine of lanes.
 */
export function simulatorTarget(base?: Target): Target {
  const { defaults, variants, schedule } = base ?? plain;
  return {
    name: 'simulator',
    extension: 'json',
    defaults,
    variants,
    schedule,
    // Of a target's own passes only `spill` leaves Kernel IR that every machine of lanes would take.
    legalise: (capabilities) =>
      base === undefined
        ? [plain.spill]
        : base.legalise(capabilities).filter(({ name }) => name === `${base.name}-spill`),
    print: (kernels, header) => printKernels(kernels, header),
    assemble: null,
    scratch: (kernel) => toSizeExpr(scratchOf(kernel)),
    requires: () => [],
    numerics: () => ({ fma: 'all', kernels: base?.name ?? 'plain' }),
  };
}
