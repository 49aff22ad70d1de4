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
  | { readonly kind: 'write'; readonly lane: number; readonly element: number }
  | { readonly kind: 'barrier' }
  | { readonly kind: 'next' }
  | { readonly kind: 'subgroup'; readonly subgroup: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), lane, element }) },
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
}

/** Of each element the number of the step that is the first to race. */
function byDefinition(steps: readonly Step[], global: boolean): ReadonlyMap<number, number> {
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
      const now: Access = { write: s.kind === 'write', lane: s.lane, group, epoch, count: counts[home] as number };
      const ordered = (a: Access): boolean => {
        if (a.group !== group) return !global;
        if (a.lane === now.lane || a.epoch < now.epoch) return true;
        return Math.floor(a.lane / LANES) === home && a.count < now.count;
      };
      const before = seen[s.element] as Access[];
      if (before.some((a) => (a.write || now.write) && !ordered(a)) && !found.has(s.element)) found.set(s.element, i);
      before.push(now);
    }
  }
  return found;
}

function byClock(steps: readonly Step[], global: boolean): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const clock = new Clock(LANES * SUBGROUPS, LANES, (_, at, __, site) => {
    if (!found.has(at)) found.set(at, site);
  });
  const shadow = new Shadow(ELEMENTS, 'all', global);
  let group = 0;
  clock.beginWorkgroup(group);
  for (const [i, s] of steps.entries()) {
    if (s.kind === 'next') clock.beginWorkgroup(++group);
    else if (s.kind === 'barrier') clock.workgroupBarrier();
    else if (s.kind === 'subgroup') clock.subgroupBarrier(s.subgroup);
    else if (s.kind === 'read') clock.read(shadow, s.element, s.lane, i);
    else clock.write(shadow, s.element, s.lane, i, false);
  }
  return found;
}

it.each([true, false])('finds the first race at every element, memory global: %s', (global) => {
  let [races, quiet] = [0, 0];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const expected = byDefinition(steps, global);
      if (expected.size > 0) races++;
      else quiet++;
      expect(byClock(steps, global)).toEqual(expected);
    }),
    { numRuns: 5000 },
  );
  expect(Math.min(races, quiet)).toBeGreaterThan(300);
});
