/**
 * How many elements kernels can count. They number the elements of a tensor with 32-bit integers, and the last block of a loop may
 * look some way past the end before it finds that it is there; on machines with more memory than that, nobody else would notice.
 */
import { RuntimeError } from './errors.ts';

/** The most elements of any tensor: what is left below 2^31 is for blocks that reach past the end. */
export const MOST_ELEMENTS = 2 ** 31 - 2 ** 20;

/** Throws RuntimeError R025 for a tensor of more elements than kernels can number; `what` names it, `wayOut` says what to do. */
export function checkCountable(what: string, shape: readonly number[], wayOut: string): void {
  const elements = shape.reduce((a, b) => a * b, 1);
  if (elements <= MOST_ELEMENTS) return;
  throw new RuntimeError(
    'R025',
    `${what} of [${shape.join(', ')}] has ${elements} elements, kernels number at most ${MOST_ELEMENTS}; ${wayOut}`,
  );
}
