/** The limits of a device that a kernel must keep, checked when it is compiled: a device would say so less clearly. */
import { physicalLength } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel, KernelBuffer } from '../../kernel-ir/types.ts';
import { visitExpressions } from '../../kernel-ir/walk.ts';
import type { Capabilities } from '../../target.ts';
import { limitOf } from './capabilities.ts';
import { WgslError } from './errors.ts';
import { typeWord } from './print/literals.ts';

/** Storage buffers a kernel binds: its tensors, scratch memory, the status word. */
export const storageBuffers = (kernel: Kernel): number =>
  kernel.buffers.filter((b) => b.space === 'global' || b.space === 'scratch').length + +(kernel.faults.length > 0);

/** Refuses a kernel that takes more than the capabilities say there is. */
export function checkLimits(kernel: Kernel, capabilities: Capabilities): Kernel {
  const { workgroup, name } = kernel;
  const threads = workgroup === undefined ? 1 : workgroup.subgroups * workgroup.lanes;
  const bytes = arrayBytes(kernel) + helperBytes(kernel, threads);
  const taken = { 'workgroup-threads': threads, 'workgroup-bytes': bytes, 'storage-buffers': storageBuffers(kernel) };
  for (const [limit, needed] of Object.entries(taken) as [keyof typeof taken, number][]) {
    const given = limitOf(capabilities, limit);
    if (needed <= given) continue;
    const advice = `schedule it for less, or compile with capability "${limit}" of at least ${needed} for devices that have it`;
    throw new WgslError('W002', name, `it takes ${limit} ${needed} where ${given} are given; ${advice}`);
  }
  return kernel;
}

function arrayBytes(kernel: Kernel): number {
  const constant = (b: KernelBuffer): readonly number[] => b.shape.map((size) => Sizes.constantOf(size) ?? 0);
  // Each begins at a multiple of 16.
  return kernel.buffers
    .filter((b) => b.space === 'workgroup')
    .reduce((bytes, b) => bytes + Math.ceil(physicalLength(b.layout, constant(b)) / 4) * 16, 0);
}

/** What folds and shuffles of each type take: a value of every lane, and room for parts of them. */
function helperBytes(kernel: Kernel, threads: number): number {
  const types = new Map<string, number>();
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'subgroup_fold' || e.kind === 'shuffle')
      types.set(typeWord(e.type), (threads + Math.sqrt(threads) + 1) * e.type.lanes * 4);
  });
  return Math.ceil([...types.values()].reduce((a, b) => a + b, 0));
}
