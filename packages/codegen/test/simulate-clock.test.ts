/**
 * The clock finds the first race at every element, whatever is done before: compared with the definition, which remembers all
 * accesses.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Clock } from '../src/simulate/clock.ts';
import { Shadow } from '../src/simulate/memory.ts';

const LANES = 3;
const SUBGROUPS = 3;
const ELEMENTS = 2;
const lane = fc.nat(LANES * SUBGROUPS - 1);
const element = fc.nat(ELEMENTS - 1);

type Step =
  | { readonly kind: 'read'; readonly lane: number; readonly element: number }
  | { readonly kind: 'write'; readonly lane: number; readonly element: number; readonly value: number }
  | { readonly kind: 'barrier' }
  | { readonly kind: 'next' }
  | { readonly kind: 'subgroup'; readonly subgroup: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), lane, element, value: fc.nat(1) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), lane, element }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'barrier' as const }, { kind: 'next' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('subgroup' as const), subgroup: fc.nat(SUBGROUPS - 1) }) },
);

interface Access {
  readonly write: boolean;
  readonly lane: number;
  readonly group: number;
  readonly epoch: number;
  readonly count: number;
  /** Of a read NaN. */
  readonly value: number;
}

/**
 * Of each element the number of the step that is the first to race. `strict`: with any access that nothing orders. Else two
 * writes race where they leave different values, a read with the last write alone, and a write with the reads since.
 */
function byDefinition(steps: readonly Step[], global: boolean, strict: boolean): ReadonlyMap<number, number> {
  const seen = Array.from({ length: ELEMENTS }, (): Access[] => []);
  const found = new Map<number, number>();
  let [group, epoch] = [0, 0];
  const counts = new Array<number>(SUBGROUPS).fill(0);
  for (const [i, s] of steps.entries()) {
    if (s.kind === 'next') group++;
    else if (s.kind === 'barrier') epoch++;
    else if (s.kind === 'subgroup') counts[s.subgroup] = (counts[s.subgroup] as number) + 1;
    else {
      const home = Math.floor(s.lane / LANES);
      const value = s.kind === 'write' ? s.value : Number.NaN;
      const now = { write: s.kind === 'write', lane: s.lane, group, epoch, count: counts[home] as number, value };
      const ordered = (a: Access, b: Access): boolean => {
        if (a.group !== b.group) return !global;
        if (a.lane === b.lane || a.epoch < b.epoch) return true;
        return Math.floor(a.lane / LANES) === Math.floor(b.lane / LANES) && a.count < b.count;
      };
      const before = seen[s.element] as Access[];
      const lastWrite = before.findLastIndex((a) => a.write);
      const races = (a: Access, at: number): boolean => {
        if ((!a.write && !now.write) || ordered(a, now)) return false;
        if (strict) return true;
        if (!now.write) return at === lastWrite;
        if (!a.write) return at > lastWrite;
        return a.value !== value && !before.some((b, later) => b.write && later > at && ordered(a, b));
      };
      if (before.some(races) && !found.has(s.element)) found.set(s.element, i);
      before.push(now);
    }
  }
  return found;
}

function byClock(steps: readonly Step[], global: boolean, strict: boolean): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const clock = new Clock(LANES * SUBGROUPS, LANES, (_, at, __, site) => {
    if (!found.has(at)) found.set(at, site);
  });
  const shadow = new Shadow(ELEMENTS, 'all', global);
  const values = new Array<number>(ELEMENTS).fill(Number.NaN);
  let group = 0;
  clock.beginWorkgroup(group);
  for (const [i, s] of steps.entries()) {
    if (s.kind === 'next') clock.beginWorkgroup(++group);
    else if (s.kind === 'barrier') clock.workgroupBarrier();
    else if (s.kind === 'subgroup') clock.subgroupBarrier(s.subgroup);
    else if (s.kind === 'read') clock.read(shadow, s.element, s.lane, i);
    else {
      clock.write(shadow, s.element, s.lane, i, !strict && values[s.element] === s.value);
      values[s.element] = s.value;
    }
  }
  return found;
}

it.each([
  [true, true],
  [false, true],
  [true, false],
  [false, false],
])('finds the first race at every element, memory global: %s, strict: %s', (global, strict) => {
  let [races, quiet] = [0, 0];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const expected = byDefinition(steps, global, strict);
      if (expected.size > 0) races++;
      else quiet++;
      expect(byClock(steps, global, strict)).toEqual(expected);
    }),
    { numRuns: 5000 },
  );
  expect(Math.min(races, quiet)).toBeGreaterThan(300);
});
