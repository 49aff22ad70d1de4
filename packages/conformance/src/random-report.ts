/** What people read of a run of random programs. */
import type { Failure, Tally } from './random-program.ts';

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;

/** One line: how many agreed, faulted as they should, were set aside and why. */
export const summary = (t: Tally): string =>
  `${t.runs} programs: ${t.agrees} agree, ${t.faults} fault as they should, ` +
  `${t.illConditioned} ill-conditioned (${percent(t.illConditioned, t.runs)}), ${t.refused} refused (${percent(t.refused, t.runs)})`;

/**
 * The program that went wrong, how it was compiled, and the command that finds it again. `device` is what `pnpm fuzz` calls
 * the device that it ran on.
 */
export function reportFailure(failure: Failure, device = 'wasm'): string {
  const dims = failure.program.dims.map((d) => `${d.name} = ${d.value}${d.runtime ? ' (runtime)' : ''}`).join(', ');
  return [
    `compiled with ${JSON.stringify({ ...failure.options, target: failure.options.target?.name })}, this program goes wrong: ${failure.why}`,
    '',
    failure.text,
    `dims: ${dims}; data seed ${failure.program.data}`,
    `run it again: pnpm fuzz 500 ${failure.seed}${device === 'wasm' ? '' : ` ${device}`}`,
  ].join('\n');
}
