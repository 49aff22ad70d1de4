/**
 * The step `pass`: accesses of a buffer are marked as passing by. Where thousands of rows walk a tree, each row comes once and goes once, and
 * should not push out of the caches the nodes that the next rows want. It changes no result; a machine without such hints ignores it.
 */
import type { Kernel } from '../kernel-ir/types.ts';
import { mapExpressions, mapStatements } from '../kernel-ir/walk.ts';

/** The kernel with the buffer's accesses marked, or the reason they can't be. */
export function passBy(kernel: Kernel, name: string): Kernel | string {
  const buffer = kernel.buffers.find((b) => b.name === name);
  if (buffer === undefined) return `there is no buffer ${name}`;
  if (buffer.space !== 'global') return `${name} is no global memory`;
  const loads = mapExpressions(kernel.body, (e) =>
    e.kind === 'load' && e.buffer === name ? { ...e, passes: true as const } : e,
  );
  const body = mapStatements(loads, (s) =>
    s.kind === 'store' && s.buffer === name ? { ...s, passes: true as const } : s,
  );
  return { ...kernel, body };
}
