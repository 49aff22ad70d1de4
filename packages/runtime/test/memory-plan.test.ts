/** Memory plans: blocks alive together never overlap, whatever the blocks; and reuse happens where it plainly can. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeBlocks, planGraph, planMemory } from '../src/index.ts';
import { residualGraph } from './support/fake-device.ts';

const block = fc
  .record({
    bytes: fc.integer({ min: 0, max: 1000 }),
    first: fc.integer({ min: -1, max: 20 }),
    life: fc.nat({ max: 10 }),
  })
  .map(({ bytes, first, life }) => ({ bytes, first, last: first + life }));

describe('planMemory', () => {
  it('never overlaps blocks that are alive together, aligns, and stays within the sum', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 40 }), fc.constantFrom(16, 64, 256), (blocks, alignment) => {
        const { offsets, bytes } = planMemory(blocks, alignment);
        blocks.forEach((a, i) => {
          const start = offsets[i] as number;
          expect(start % alignment).toBe(0);
          expect(start + a.bytes).toBeLessThanOrEqual(bytes);
          blocks.slice(0, i).forEach((b, j) => {
            const together = a.first <= b.last && b.first <= a.last;
            const other = offsets[j] as number;
            if (together && a.bytes > 0 && b.bytes > 0)
              expect(start >= other + b.bytes || start + a.bytes <= other).toBe(true);
          });
        });
        const sum = blocks.reduce((total, { bytes: b }) => total + Math.ceil(b / alignment) * alignment, 0);
        expect(bytes).toBeLessThanOrEqual(sum);
      }),
    );
  });

  it('puts a chain into two places', () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 640, first: i, last: i + 1 }));
    expect(planMemory(chain, 64).bytes).toBe(1280);
  });

  it('plans sizes beyond 32 bits', () => {
    const big = Array.from({ length: 3 }, () => ({ bytes: 2 ** 31 + 1, first: 0, last: 0 }));
    expect(planMemory(big, 64).bytes).toBe(3 * (2 ** 31 + 64));
  });
});

describe('placeBlocks, separately', () => {
  it('gives a buffer to one block at a time, large enough, and no more bytes than there are', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 40 }), fc.constantFrom(16, 256), (blocks, alignment) => {
        const { places, buffers } = placeBlocks(blocks, alignment, 'separate');
        blocks.forEach((a, i) => {
          const { buffer, byteOffset } = places[i] as (typeof places)[number];
          expect(byteOffset).toBe(0);
          expect(buffers[buffer]).toBeGreaterThanOrEqual(Math.max(a.bytes, 1));
          blocks.slice(0, i).forEach((b, j) => {
            if (a.first <= b.last && b.first <= a.last) expect(places[j]?.buffer).not.toBe(buffer);
          });
        });
        const sum = blocks.reduce(
          (total, { bytes }) => total + Math.max(1, Math.ceil(bytes / alignment)) * alignment,
          0,
        );
        expect(buffers.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(Math.max(sum, alignment));
      }),
    );
  });

  it('puts a chain into two buffers, and the small into the smallest that is free', () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 640, first: i, last: i + 1 }));
    expect(placeBlocks(chain, 64, 'separate').buffers).toEqual([640, 640]);
    const sizes = [
      { bytes: 1000, first: 0, last: 0 },
      { bytes: 100, first: 0, last: 0 },
      { bytes: 90, first: 1, last: 1 },
    ];
    expect(placeBlocks(sizes, 4, 'separate')).toEqual({
      buffers: [1000, 100],
      places: [
        { buffer: 0, byteOffset: 0 },
        { buffer: 1, byteOffset: 0 },
        { buffer: 1, byteOffset: 0 },
      ],
    });
  });
});

describe('planGraph', () => {
  it('plans the variant of a launch that is made for the dims', () => {
    const graph = residualGraph(1);
    const few = { size: 'T', from: 0, below: 6 } as const;
    const many = { size: 'T', from: 6 } as const;
    const artefacts = graph.artefacts.map((artefact) => ({
      ...artefact,
      manifest: {
        ...artefact.manifest,
        launches: artefact.manifest.launches.flatMap((launch) => [
          { ...launch, when: few },
          { ...launch, when: many },
        ]),
      },
    }));
    const launches = (S: number): readonly number[] =>
      planGraph({ ...graph, artefacts }, { B: 1, S }, [], 64).launches.map(({ launch }) => launch);
    expect(launches(5)).toEqual([0, 0, 2]);
    expect(launches(6)).toEqual([1, 1, 3]);
  });

  it('refuses tensors of more elements than kernels can number, the own ones of steps among them', () => {
    const graph = residualGraph(1);
    const most = 2 ** 31 - 2 ** 20;
    const plan = (changed: typeof graph, S: number) => planGraph(changed, { B: 1, S }, [], 64);
    expect(plan(graph, Math.floor(most / 3)).buffers[0]).toBeGreaterThan(2 ** 32);
    expect(() => plan(graph, Math.ceil(most / 3))).toThrow(
      /^R025: tensor x of graph residual of \[1, \d+, 3\] has \d+ elements, kernels number at most 2146435072; run fewer rows at once$/,
    );
    const artefacts = graph.artefacts.map(({ source, manifest }) => ({
      source,
      manifest: {
        ...manifest,
        bindings: manifest.bindings.map((b) => (b.role === 'workspace' ? { ...b, shape: [2 ** 16, 2 ** 15] } : b)),
      },
    }));
    expect(() => plan({ ...graph, artefacts }, 1)).toThrow(
      /^R025: \w+, which step \S+ of graph residual keeps for itself, of \[65536, 32768\] has 2147483648 elements/,
    );
  });

  it('lets no launch read and write one buffer where tensors lie apart', () => {
    const graph = residualGraph(6);
    const plan = planGraph(graph, { B: 2, S: 3 }, [], 256, 'separate');
    expect(plan.launches).toHaveLength(18);
    for (const launch of plan.launches) {
      const places = launch.arguments.flatMap((argument) => (argument.kind === 'arena' ? [argument.place.buffer] : []));
      expect(new Set(places).size).toBe(places.length);
    }
    expect(plan.buffers.length).toBeLessThanOrEqual(4);
    expect(plan.arenaBytes).toBe(plan.buffers.length * 256);
  });

  it('never lets two tensors that are alive together share bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 9 }), fc.boolean(), (blocks, S, keepSome) => {
        const graph = residualGraph(blocks);
        const keep = keepSome ? ['b0', 'x'] : [];
        const plan = planGraph(graph, { B: 2, S }, keep, 64);
        const tensors = [...plan.tensors.values()];
        for (const a of tensors) {
          expect(a.byteOffset + a.byteLength).toBeLessThanOrEqual(plan.arenaBytes);
          for (const b of tensors)
            if (a !== b && a.first <= b.last && b.first <= a.last && a.byteLength * b.byteLength > 0)
              expect(a.byteOffset >= b.byteOffset + b.byteLength || b.byteOffset >= a.byteOffset + a.byteLength).toBe(
                true,
              );
        }
        expect(plan.launches).toHaveLength(S === 0 ? 0 : blocks * 3);
        // A launch's own arguments never overlap either, its workspace included.
        for (const launch of plan.launches) {
          const places = launch.arguments.flatMap((argument) => (argument.kind === 'arena' ? [argument.place] : []));
          for (const a of places)
            for (const b of places)
              if (a !== b)
                expect(a.byteOffset >= b.byteOffset + b.byteLength || b.byteOffset >= a.byteOffset + a.byteLength).toBe(
                  true,
                );
        }
      }),
      { numRuns: 60 },
    );
  });
});
