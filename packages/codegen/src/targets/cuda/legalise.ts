/**
 * Leaves only what CUDA C has a spelling for: kernels of threads that run alone become workgroups of one, warps have 32
 * lanes, memory fits, and what the lanes of a warp do together stands in a statement of its own, where every lane comes.
 */

import { Sizes } from '@espalier/ir';
import { rewriteBinding } from '../../kernel-ir/bind.ts';
import { elementBytes, type Kernel } from '../../kernel-ir/types.ts';
import { Names } from '../../kernel-ir/walk.ts';
import { SHARED_BYTES, THREADS, WARP } from './capabilities.ts';

/** Raised for a kernel that no GPU runs as it is scheduled; the message says what to change. */
export class CudaRefusal extends Error {
  /** See `Excess`. */
  readonly excess: boolean;
  constructor(kernel: Kernel, problem: string, excess = false) {
    super(`CUDA, kernel ${kernel.name}: ${problem}`);
    this.name = 'CudaRefusal';
    this.excess = excess;
  }
}

/** Threads that no schedule has gathered into workgroups: each becomes a block of its own. Correct, and as slow as can be. */
export function gatherThreads(kernel: Kernel): Kernel {
  if (kernel.workgroup !== undefined) return kernel;
  const body = kernel.body.map((s) =>
    s.kind === 'for' && s.binding === 'grid' ? { ...s, binding: 'workgroup' as const } : s,
  );
  return { ...kernel, body, workgroup: { subgroups: 1, lanes: 1 } };
}

/** Folds over a subgroup and shuffles get a name in front of the statement that uses them: C may skip parts of an expression. */
export function nameCollectives(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  const body = rewriteBinding(kernel.body, names, (e, bind) =>
    e.kind === 'subgroup_fold' ? bind(`${e.op}_all`, e) : e.kind === 'shuffle' ? bind('other', e) : e,
  );
  // A let that is nothing but a name for the new one is the new one.
  return { ...kernel, body: withoutCopies(body) };
}

function withoutCopies(body: Kernel['body']): Kernel['body'] {
  const result: Kernel['body'][number][] = [];
  for (const s of body) {
    const last = result.at(-1);
    const copies =
      s.kind === 'let' && s.value.kind === 'ref' && last?.kind === 'let' && last.name === s.value.name
        ? last.value.kind === 'subgroup_fold' || last.value.kind === 'shuffle'
        : false;
    if (copies && s.kind === 'let' && last?.kind === 'let') result[result.length - 1] = { ...s, value: last.value };
    else if (s.kind === 'for') result.push({ ...s, body: withoutCopies(s.body) });
    else if (s.kind === 'if') result.push({ ...s, then: withoutCopies(s.then), otherwise: withoutCopies(s.otherwise) });
    else result.push(s);
  }
  return result;
}

/** Throws CudaRefusal for a workgroup or memory that does not fit. */
export function checkLimits(kernel: Kernel): Kernel {
  const { subgroups, lanes } = kernel.workgroup ?? { subgroups: 1, lanes: 1 };
  if (lanes !== WARP && lanes * subgroups !== 1)
    throw new CudaRefusal(kernel, `subgroups of ${lanes} lanes; a warp has ${WARP}: schedule it with lanes: ${WARP}`);
  if (lanes * subgroups > THREADS)
    throw new CudaRefusal(kernel, `${lanes * subgroups} threads in a workgroup; at most ${THREADS} fit a block`);
  const shared = kernel.buffers
    .filter((b) => b.space === 'workgroup')
    .reduce(
      (sum, b) =>
        sum + Math.ceil(((Sizes.constantOf(Sizes.product(b.shape)) ?? 0) * elementBytes[b.storage]) / 16) * 16,
      0,
    );
  if (shared > SHARED_BYTES)
    throw new CudaRefusal(
      kernel,
      `${shared} bytes of workgroup memory; at most ${SHARED_BYTES} fit: make its tiles smaller`,
      true,
    );
  return kernel;
}
