/**
 * The claim: a forward of a bundled model is one submission, one journey back, and no more dispatches than half of what
 * onnxruntime-web's WebGPU provider makes of the same model, as our export writes it and as PyTorch's would. Every output is
 * compared with the float64 interpreter before its counts are looked at. Needs Chromium on the PATH or in CHROMIUM; where
 * ESPALIER_REQUIRE_BROWSER is 1, its lack is a failure.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, findChromium, openBench } from '../src/browser.ts';
import { bertBaseLayer, bundled } from '../src/cases.ts';
import { compareCase, peersOf } from '../src/compare.ts';

const chromium = findChromium();

it('finds a browser where one is required', () => {
  const required = process.env['ESPALIER_REQUIRE_BROWSER'] === '1';
  expect(chromium ?? (required ? 'no Chromium on the PATH or in CHROMIUM' : 'not required')).not.toMatch(/^no /);
});

describe.skipIf(chromium === undefined)(
  chromium === undefined ? 'in Chromium (skipped: none on the PATH or in CHROMIUM)' : 'in Chromium',
  () => {
    let bench: Bench | undefined;

    beforeAll(async () => {
      bench = await openBench(chromium ?? '');
    });

    afterAll(() => bench?.[Symbol.asyncDispose]());

    // Shaders compile slowly on a software adapter.
    it.each(['tiny-bert', 'tiny-ultrafastbert'] as const)(
      '%s: one submission, at most half the dispatches',
      async (name) => {
        const from = await bundled(name);
        // `fused` is a model rewritten for ONNX Runtime by hand: reported by the tool, not part of the claim.
        const peers = peersOf(from, true).filter(({ writing }) => writing !== 'fused');
        expect(peers.map(({ writing }) => writing)).toEqual(['exported', 'plain']);
        const [ours, ...theirs] = await compareCase(bench as Bench, from, peers);
        expect(ours?.warm).toMatchObject({ submissions: 1, readbacks: 1, pipelines: 0, bindGroups: 0, buffers: 0 });
        expect(ours?.warm.dispatches).toBeGreaterThan(0);
        for (const { warm, contender } of theirs) {
          expect(2 * (ours?.warm.dispatches ?? Number.NaN), contender).toBeLessThanOrEqual(warm.dispatches);
          expect(warm.submissions, contender).toBeGreaterThanOrEqual(1);
        }
        // The runtime's own counters say the same: two instruments, one of them inside.
        const { dispatches, submissions, readbacks, bytesBound, bytesRead, bytesWritten } = ours?.warm ?? {};
        expect(ours?.own).toMatchObject({ dispatches, submissions, readbacks, bytesBound, bytesRead, bytesWritten });
      },
      600_000,
    );

    it('one layer of BERT-base: at most half the dispatches, of a model rewritten with fused operators too', async () => {
      const from = bertBaseLayer();
      const peers = peersOf(from, true).filter(({ writing }) => writing !== 'exported');
      expect(peers.map(({ writing }) => writing)).toEqual(['plain', 'fused']);
      const [ours, ...theirs] = await compareCase(bench as Bench, from, peers);
      expect(ours?.warm).toMatchObject({ submissions: 1, readbacks: 1, dispatches: 7 });
      for (const { warm, contender } of theirs) expect(14, contender).toBeLessThanOrEqual(warm.dispatches);
    }, 600_000);
  },
);
