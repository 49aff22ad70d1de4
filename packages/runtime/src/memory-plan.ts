/**
 * Places blocks of known size and life in one arena, so that blocks alive at the same time never overlap. Greedy by size:
 * the largest block first, each into the smallest gap left by the placed blocks it lives beside. Or in separate buffers, for
 * machines where a buffer is either read or written: the largest first, each into the smallest buffer that is free all its life.
 */
import type { Placement } from './contract.ts';

/** A block alive from tick `first` to tick `last`, both included. */
export interface MemoryBlock {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Byte offset of each block, in the order given, and the size of the arena. */
export interface MemoryPlan {
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** `value` rounded up to a multiple of `alignment`, a power of two (arithmetic, since sizes may pass 2^31). */
export const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** Places `blocks` at multiples of `alignment`. Deterministic. Blocks of no bytes get offset 0. */
export function planMemory(blocks: readonly MemoryBlock[], alignment: number): MemoryPlan {
  const sizes = blocks.map((block) => alignUp(block.bytes, alignment));
  const order = blocks.map((_, i) => i).filter((i) => (sizes[i] as number) > 0);
  order.sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  const offsets = new Array<number>(blocks.length).fill(0);
  const placed: number[] = [];
  let bytes = 0;
  for (const i of order) {
    const block = blocks[i] as MemoryBlock;
    const size = sizes[i] as number;
    const beside = placed.filter((j) => {
      const other = blocks[j] as MemoryBlock;
      return other.first <= block.last && block.first <= other.last;
    });
    const offset = bestGap(
      beside.map((j) => ({ start: offsets[j] as number, end: (offsets[j] as number) + (sizes[j] as number) })),
      size,
    );
    offsets[i] = offset;
    placed.push(i);
    bytes = Math.max(bytes, offset + size);
  }
  return { offsets, bytes };
}

/** Buffers, and where in them each block lies, in the order given. */
export interface BlockPlaces {
  readonly places: readonly { readonly buffer: number; readonly byteOffset: number }[];
  /** Bytes of each buffer. */
  readonly buffers: readonly number[];
}

/** Places `blocks` as `placement` says, at multiples of `alignment`. Deterministic. There is at least one buffer, and none is empty. */
export function placeBlocks(blocks: readonly MemoryBlock[], alignment: number, placement: Placement): BlockPlaces {
  if (placement === 'separate') return placeSeparately(blocks, alignment);
  const { offsets, bytes } = planMemory(blocks, alignment);
  return {
    places: offsets.map((byteOffset) => ({ buffer: 0, byteOffset })),
    buffers: [Math.max(bytes, alignment)],
  };
}

function placeSeparately(blocks: readonly MemoryBlock[], alignment: number): BlockPlaces {
  // A block of no bytes takes a buffer too: something must be bound for it.
  const sizes = blocks.map((block) => Math.max(alignUp(block.bytes, alignment), alignment));
  const order = blocks.map((_, i) => i).sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  const buffers: { readonly bytes: number; readonly held: MemoryBlock[] }[] = [];
  const places = blocks.map(() => ({ buffer: 0, byteOffset: 0 }));
  for (const i of order) {
    const block = blocks[i] as MemoryBlock;
    // Buffers were made from the largest to the smallest, so all are large enough and the last free one is the smallest.
    let buffer = buffers.findLastIndex(({ held }) =>
      held.every((other) => other.last < block.first || block.last < other.first),
    );
    if (buffer < 0) buffer = buffers.push({ bytes: sizes[i] as number, held: [] }) - 1;
    buffers[buffer]?.held.push(block);
    places[i] = { buffer, byteOffset: 0 };
  }
  return { places, buffers: buffers.length === 0 ? [alignment] : buffers.map(({ bytes }) => bytes) };
}

/** The start of the smallest gap of at least `size` between the taken spans, or the end of the last one. */
function bestGap(taken: { readonly start: number; readonly end: number }[], size: number): number {
  taken.sort((a, b) => a.start - b.start);
  let free = 0;
  let best: number | undefined;
  let bestSize = Number.POSITIVE_INFINITY;
  for (const { start, end } of taken) {
    const gap = start - free;
    if (gap >= size && gap < bestSize) {
      best = free;
      bestSize = gap;
    }
    free = Math.max(free, end);
  }
  return best ?? free;
}
