/** Running kernels that must be without a fault of their own. */
import type { Kernel } from '../../src/kernel-ir/types.ts';
import { formatFinding, type SimulateOptions, type Simulation, simulate } from '../../src/simulate/index.ts';

/** What a kernel computes. Throws an Error with the first finding where the simulator has any. */
export function clean(kernel: Kernel, options: SimulateOptions): Pick<Simulation, 'outputs' | 'faults'> {
  const { outputs, faults, findings } = simulate(kernel, options);
  const [first] = findings;
  if (first !== undefined) throw new Error(formatFinding(first));
  return { outputs, faults };
}
