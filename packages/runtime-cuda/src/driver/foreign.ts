/**
 * How foreign functions are called. The called library runs on a stack that koffi provides, 128 KiB for calls on a thread of
 * their own; compilers (NVRTC, the driver's own for PTX) need far more, and overrunning it ends the process. So larger ones
 * are asked for before the first library is loaded, after which koffi allows no change.
 */
import koffi from 'koffi';

const MIB = 1 << 20;
/** What Linux gives a program's first thread, which is what compilers are written for. */
const ENOUGH = 8 * MIB;

/** Asks for stacks that compilers fit in. Where someone else has loaded a library before, theirs stay. */
export function enlargeStacks(): void {
  try {
    koffi.config({ sync_stack_size: 2 * ENOUGH, async_stack_size: ENOUGH, resident_async_pools: 2 });
  } catch {
    // Told by `mayCompileAside`, which looks at what is there.
  }
}

/** Whether calls on a thread of their own have the stack that a compiler needs. */
export const mayCompileAside = (): boolean => (koffi.config().async_stack_size ?? 0) >= ENOUGH;
