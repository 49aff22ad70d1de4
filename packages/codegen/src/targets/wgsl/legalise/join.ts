/**
 * Kernels that read more tensors than a device binds: the smallest of constant size are read from one buffer, which the
 * runtime fills with copies of them before each launch (`Launch.joined`). Each begins at a multiple of 16 bytes.
 */
import { physicalLength, rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import * as k from '../../../kernel-ir/build.ts';
import { elementBytes, type Kernel, type KernelBuffer } from '../../../kernel-ir/types.ts';
import { mapExpressions, Names } from '../../../kernel-ir/walk.ts';
import { storageBuffers } from '../limits.ts';

/** Elements of a buffer; null when only the run knows. */
function lengthOf(b: KernelBuffer): number | null {
  const shape = b.shape.map((size) => Sizes.constantOf(size));
  return shape.includes(null) ? null : physicalLength(b.layout, shape as readonly number[]);
}

/** The smallest buffers that may be joined, `count` of them: words together, or halves, whichever there are enough of and less to copy. */
function candidatesOf(kernel: Kernel, count: number): readonly KernelBuffer[] {
  const readable = kernel.buffers
    .filter((b) => b.space === 'global' && b.access === 'read' && lengthOf(b) !== null)
    .sort((a, b) => (lengthOf(a) ?? 0) - (lengthOf(b) ?? 0));
  const groups = [
    readable.filter((b) => b.storage === 'f32' || b.storage === 'i32'),
    readable.filter((b) => b.storage === 'f16'),
  ].map((group) => group.slice(0, count));
  const bytes = (group: readonly KernelBuffer[]): number =>
    group.reduce((sum, b) => sum + (lengthOf(b) ?? 0) * elementBytes[b.storage], 0);
  return groups.sort((a, b) => b.length - a.length || bytes(a) - bytes(b))[0] ?? [];
}

/** The kernel with no more storage buffers than `limit`, as far as joining helps. */
export function joinBuffers(kernel: Kernel, limit: number): Kernel {
  const excess = storageBuffers(kernel) - limit;
  if (excess <= 0) return kernel;
  const candidates = candidatesOf(kernel, excess + 1);
  const small = new Set(candidates.map((b) => b.name));
  const parts = kernel.buffers.filter((b) => small.has(b.name));
  if (parts.length < 2) return kernel;
  // Integers and reals together are kept as bits.
  const [first] = parts;
  const storage = parts.every((b) => b.storage === first?.storage) ? (first?.storage ?? 'f32') : 'i32';
  const step = 16 / elementBytes[storage];
  const places = new Map<string, number>();
  let end = 0;
  for (const b of parts) {
    places.set(b.name, end);
    end += Math.ceil((lengthOf(b) ?? 0) / step) * step;
  }
  const name = new Names(kernel).fresh('joined');
  const joined: KernelBuffer = {
    name,
    space: 'global',
    access: 'read',
    storage,
    shape: [Sizes.constant(Math.max(end, step))],
    layout: rowMajor(1),
    parts: parts.map((b) => b.name),
  };
  const body = mapExpressions(kernel.body, (e) => {
    const at = e.kind === 'load' ? places.get(e.buffer) : undefined;
    if (e.kind !== 'load' || at === undefined) return e;
    const moved = { ...e, buffer: name, offset: e.offset + at };
    if (storage !== 'i32' || e.type.scalar === 'i32') return moved;
    return k.op('from_bits', { ...moved, type: k.vector('i32', e.type.lanes) });
  });
  const others = kernel.buffers.filter((b) => !small.has(b.name));
  const last = others.findLastIndex((b) => b.space === 'global');
  return { ...kernel, buffers: [...others.slice(0, last + 1), joined, ...others.slice(last + 1)], body };
}
