/** Loops and branches inside one another: the assembler descends into them on a small stack that it does not guard. */
import type { Kernel, Stmt } from '../../../kernel-ir/types.ts';
import { blocksOf } from '../../../kernel-ir/walk.ts';
import { WasmRefusal } from '../errors.ts';

/** The assembler reads 120. */
const DEEPEST = 80;

/** The kernel as it is. Throws WasmRefusal where it nests beyond what the assembler reads. */
export function checkBlocks(kernel: Kernel): Kernel {
  const levels = (body: readonly Stmt[]): number =>
    Math.max(0, ...body.flatMap(blocksOf).map((block) => 1 + levels(block)));
  if (levels(kernel.body) <= DEEPEST) return kernel;
  throw new WasmRefusal(
    kernel.name,
    `more than ${DEEPEST} loops and branches stand inside one another at ${kernel.place ?? kernel.label}; define a part of them as a ` +
      'tensor of its own',
  );
}
