/** The simulator: kernels of other targets run lane by lane; a race or an unwritten read ends the run with its text. */
import { cuda, type Target, wgsl } from '@espalier/codegen';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { compilerFor, unknownSpec } from './compiler.ts';
import type { TargetFamily } from './family.ts';

/** Most operations of a case; each takes thousands of the processor's own. */
const MOST = 2_000_000;

/** Whose kernels are simulated; null for a plain machine of lanes. */
const bases: Readonly<Record<string, Target | null>> = {
  simulator: null,
  'simulator:wgsl': wgsl,
  'simulator:cuda': cuda,
};

export const simulatorFamily: TargetFamily = {
  name: 'simulator',
  known: Object.keys(bases),
  defaults: () => [],
  all: () => ['simulator:wgsl', 'simulator:cuda'],
  async open(spec) {
    const base = bases[spec];
    if (base === undefined) throw unknownSpec(spec, Object.keys(bases));
    const device = await openSimulator();
    return {
      spec,
      device,
      threads: 1,
      most: MOST,
      timed: false,
      // It knows what was never written; poison would count as a write.
      poisoned: false,
      ...compilerFor(simulatorTarget(base ?? undefined), {}, spec),
      [Symbol.dispose]: () => device[Symbol.dispose](),
    };
  },
};
