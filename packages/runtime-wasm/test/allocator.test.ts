/** The allocator under random use: no two spans overlap, all is aligned, everything comes back. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Allocator } from '../src/index.ts';

const START = 40;

it('never overlaps spans, keeps count, and joins everything again', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('allocate' as const), bytes: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat() }),
    fc.record({ kind: fc.constant('extend' as const), bytes: fc.integer({ min: 0, max: 4000 }) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const allocator = new Allocator(START, 20_000);
      let end = 20_000;
      const live = new Map<number, number>();
      for (const step of actions) {
        if (step.kind === 'extend') {
          end += step.bytes;
          allocator.extend(end);
        } else if (step.kind === 'release') {
          const address = [...live.keys()][step.which % Math.max(1, live.size)];
          if (address === undefined) continue;
          allocator.release(address);
          live.delete(address);
        } else {
          const { largestFree } = allocator.statistics;
          const address = allocator.allocate(step.bytes);
          expect(address !== undefined).toBe(largestFree >= Math.max(64, Math.ceil(step.bytes / 64) * 64));
          if (address === undefined) continue;
          expect(address % 64).toBe(0);
          expect(address).toBeGreaterThanOrEqual(START);
          expect(address + step.bytes).toBeLessThanOrEqual(end);
          for (const [other, size] of live)
            expect(address >= other + size || address + Math.max(1, step.bytes) <= other).toBe(true);
          live.set(address, Math.max(1, step.bytes));
        }
        const { used, free, spans } = allocator.statistics;
        expect(used + free).toBe(allocator.end - 64);
        expect(spans).toBe(live.size);
      }
      for (const address of live.keys()) allocator.release(address);
      const { used, free, spans, largestFree } = allocator.statistics;
      expect({ used, spans }).toEqual({ used: 0, spans: 0 });
      expect(largestFree).toBe(free);
    }),
    { numRuns: 150 },
  );
});

it('says how much longer the range must be, and is right', () => {
  const allocator = new Allocator(0, 1024);
  allocator.allocate(512);
  const shortage = allocator.shortage(2000);
  expect(shortage).toBe(2048 - 512);
  allocator.extend(1024 + shortage);
  expect(allocator.allocate(2000)).toBe(512);
});

it('refuses to take back what it did not give', () => {
  const allocator = new Allocator(0, 1024);
  const address = allocator.allocate(10) ?? -1;
  allocator.release(address);
  expect(() => allocator.release(address)).toThrow(RangeError);
  expect(() => allocator.release(63)).toThrow(RangeError);
});
