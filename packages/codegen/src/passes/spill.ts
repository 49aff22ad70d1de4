/**
 * The pass `spill`: private arrays that a lane can't hold (too big, or of a size only the run knows) move to the workgroup's
 * scratch memory, after `flatten`. Neighbouring lanes get neighbouring elements, so that what they read together is one
 * transaction; arrays read as vectors are kept whole instead. Elements are bits (i32), so one buffer holds every type.
 */

import { type Size, Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import { type Expr, elementBytes, type Kernel, type KernelBuffer } from '../kernel-ir/types.ts';
import { mapExpressions, mapStatements, Names, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';
import { usedBuffers } from './flatten.ts';

const lane: Expr = { kind: 'builtin', which: 'lane', type: k.scalar('i32') };

/** Where a spilled array lives: element `index` of this thread is at `base + index · stride`. */
interface Place {
  readonly base: Expr;
  readonly stride: number;
}

/** `limit`: bytes of private arrays a thread may keep; the smallest are kept first. */
export function spill(kernel: Kernel, limit: number): Kernel {
  if (kernel.workgroup === undefined) return kernel;
  const threads = kernel.workgroup.subgroups * kernel.workgroup.lanes;
  const spilled = tooBig(kernel, limit);
  const inScratch = kernel.buffers.filter((b) => b.space === 'scratch');
  if (spilled.length === 0 && inScratch.length === 0) return withoutUnused(kernel);
  const names = new Names(kernel);
  const asVectors = readAsVectors(kernel);
  const places = new Map<string, Place>();
  let end: Size = Sizes.constant(0);
  for (const b of inScratch) {
    places.set(b.name, { base: k.sizeExpr(end), stride: 1 });
    end = Sizes.add(end, Sizes.product(b.shape));
  }
  for (const b of spilled) {
    const elements = Sizes.product(b.shape);
    const start = k.sizeExpr(end);
    places.set(
      b.name,
      asVectors.has(b.name)
        ? { base: k.add(start, k.mul(lane, k.sizeExpr(elements))), stride: 1 }
        : { base: k.add(start, lane), stride: threads },
    );
    end = Sizes.add(end, Sizes.multiply(elements, Sizes.constant(threads)));
  }
  const scratch: KernelBuffer = {
    name: names.fresh('scratch'),
    space: 'scratch',
    access: 'read_write',
    storage: 'i32',
    shape: [end],
    layout: [{ part: 'whole', axis: 0 }],
  };
  const storages = new Map(kernel.buffers.map((b) => [b.name, b.storage]));
  const at = (place: Place, index: Expr, offset: number): { index: Expr; offset: number } => ({
    index: k.add(place.base, k.mul(index, k.i32(place.stride))),
    offset: offset * place.stride,
  });
  const loads = mapExpressions(kernel.body, (e) => {
    const place = e.kind === 'load' ? places.get(e.buffer) : undefined;
    if (e.kind !== 'load' || place === undefined) return e;
    const { index, offset } = at(place, e.indices[0] as Expr, e.offset);
    const bits = k.load(scratch.name, [index], k.vector('i32', e.type.lanes), offset);
    return storages.get(e.buffer) === 'f32' ? k.op('from_bits', bits) : bits;
  });
  const body = mapStatements(loads, (s) => {
    const place = s.kind === 'store' ? places.get(s.buffer) : undefined;
    if (s.kind !== 'store' || place === undefined) return s;
    const { index, offset } = at(place, s.indices[0] as Expr, s.offset);
    const bits = storages.get(s.buffer) === 'f32' ? k.op('bits_of', s.value) : s.value;
    return k.store(scratch.name, [index], bits, offset);
  });
  const kept = kernel.buffers.filter((b) => !places.has(b.name));
  return withoutUnused({ ...kernel, buffers: [...kept, scratch], body });
}

function withoutUnused(kernel: Kernel): Kernel {
  const used = usedBuffers(kernel);
  return { ...kernel, buffers: kernel.buffers.filter((b) => b.space === 'global' || used.has(b.name)) };
}

function tooBig(kernel: Kernel, limit: number): readonly KernelBuffer[] {
  const bytes = (b: KernelBuffer): number =>
    (Sizes.constantOf(Sizes.product(b.shape)) ?? Infinity) * elementBytes[b.storage];
  let left = limit;
  return kernel.buffers
    .filter((b) => b.space === 'private')
    .sort((a, b) => bytes(a) - bytes(b))
    .filter((b) => {
      left -= bytes(b);
      return left < 0;
    });
}

function readAsVectors(kernel: Kernel): ReadonlySet<string> {
  const found = new Set<string>();
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'load' && e.type.lanes > 1) found.add(e.buffer);
  });
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store' && s.value.type.lanes > 1) found.add(s.buffer);
  });
  return found;
}

/** Bytes of scratch memory a workgroup needs, as a size over runtime dims. */
export function scratchOf(kernel: Kernel): Size {
  const buffer = kernel.buffers.find((b) => b.space === 'scratch');
  return buffer === undefined ? Sizes.constant(0) : Sizes.multiply(Sizes.product(buffer.shape), Sizes.constant(4));
}
