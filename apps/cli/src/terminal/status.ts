/** What is going on, on standard error: one line that rewrites itself on a terminal, and nothing elsewhere. */
import type { Stream } from '../surroundings.ts';

export interface Status {
  /** Says what is being done now. */
  show(text: string): void;
  /** Clears the line; to be called before anything else is written. */
  end(): void;
}

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
/** Milliseconds between two drawings, and before the first: what is done sooner needs no line. */
const PAUSE = 80;

/** A status line on a stream. */
export function statusOn(stream: Stream, live: boolean = stream.isTTY === true): Status {
  let last = performance.now();
  let frame = 0;
  let drawn = false;
  return {
    show(text) {
      const now = performance.now();
      if (!live || now - last < PAUSE) return;
      last = now;
      frame = (frame + 1) % FRAMES.length;
      const line = `${FRAMES[frame] ?? ''} ${text}`.slice(0, (stream.columns ?? 80) - 1);
      stream.write(`\r\u001b[K${line}`);
      drawn = true;
    },
    end() {
      if (drawn) stream.write('\r\u001b[K');
      drawn = false;
    },
  };
}
