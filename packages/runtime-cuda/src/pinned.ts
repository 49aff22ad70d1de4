/**
 * Blocks of page-locked memory through which everything is copied to and from the device. The device reads and writes them by
 * itself, so a copy in is over for the caller as soon as its bytes lie in a block, and a block is used again once the event after
 * its last copy has passed.
 */
import koffi from 'koffi';
import type { Context } from './driver/context.ts';

/** Bytes of a block: large enough that its copy takes longer than asking for it. */
export const BLOCK_BYTES = 1 << 20;

/** Blocks to have before one that is still being copied from is waited for. */
const PLENTY = 4;

export interface PinnedBlock {
  readonly address: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Passes when the last copy with this block is done. */
  readonly event: bigint;
}

export class PinnedPool {
  readonly #context: Context;
  readonly #free: PinnedBlock[] = [];
  #blocks = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** A block that nothing is copied with; waits for one where there are plenty. Throws RuntimeError R020 or R022. */
  take(what: string): PinnedBlock {
    const [oldest] = this.#free;
    if (oldest && (this.#blocks >= PLENTY || this.#context.reached(oldest.event, { what }))) {
      if (this.#blocks >= PLENTY) this.#context.call({ what }, 'cuEventSynchronize', oldest.event);
      this.#free.shift();
      return oldest;
    }
    return this.#make(what);
  }

  /** Takes a block back. Its last copy may still be going on, if an event was recorded after it. */
  give(block: PinnedBlock): void {
    this.#free.push(block);
  }

  /** Frees all blocks, which must all have been given back. */
  dispose(): void {
    using stack = new DisposableStack();
    for (const block of this.#free.splice(0)) stack.defer(() => this.#discard(block));
  }

  #make(what: string): PinnedBlock {
    const context = this.#context;
    const address = context.make({ what }, 'cuMemAllocHost_v2', BLOCK_BYTES);
    try {
      const event = context.makeEvent(what);
      this.#blocks++;
      return { address, event, bytes: new Uint8Array(koffi.view(address, BLOCK_BYTES)) };
    } catch (error) {
      context.release(what, 'cuMemFreeHost', address);
      throw error;
    }
  }

  #discard(block: PinnedBlock): void {
    this.#blocks--;
    const what = 'freeing a block of page-locked memory';
    using stack = new DisposableStack();
    stack.defer(() => this.#context.release(what, 'cuMemFreeHost', block.address));
    stack.defer(() => this.#context.release(what, 'cuEventDestroy_v2', block.event));
  }
}
