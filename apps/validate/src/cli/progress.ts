/** Progress on standard error: one line that rewrites itself on a terminal; elsewhere a line whenever something else begins. */
import type { Progress } from '../validate.ts';

export interface ShownProgress extends Progress {
  /** Clears the live line. */
  end(): void;
}

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR = 12;
/** Milliseconds between two drawings of the live line. */
const PAUSE = 60;

/** Shows progress on a stream. */
export function progressOn(stream: Stream, live: boolean = stream.isTTY === true): ShownProgress {
  let last = Number.NEGATIVE_INFINITY;
  let drawn = false;
  let begun = '';
  return {
    stage(text, fraction) {
      if (!live) {
        // "checkpoint · case" begins a line; what happens within goes unsaid.
        const topic = text.split(' · ').slice(0, 2).join(' · ');
        if (topic !== begun) stream.write(`${topic}\n`);
        begun = topic;
        return;
      }
      const now = performance.now();
      if (fraction !== undefined && fraction > 0 && now - last < PAUSE) return;
      last = now;
      const filled = fraction === undefined ? 0 : Math.round(fraction * BAR);
      const bar = fraction === undefined ? '' : `${'━'.repeat(filled)}${'·'.repeat(BAR - filled)} `;
      const width = (stream.columns ?? 80) - 1;
      stream.write(`\r\u001b[K${`${bar}${text}`.slice(0, width)}`);
      drawn = true;
    },
    end() {
      if (drawn) stream.write('\r\u001b[K');
      drawn = false;
    },
  };
}
