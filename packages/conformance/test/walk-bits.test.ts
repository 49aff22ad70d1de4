/**
 * A row that walks trees has the same bits in any company on CUDA: few rows are walked by subtrees, many row by row, and both
 * form a node's sum in the same order, as both add up what is yielded.
 */
import { compile, cuda, type Target } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { expect, it } from 'vitest';
import { randomTensors } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';
import { forced } from './support/forced.ts';

const many = 600;

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it.each([
    [256, 256, 1],
    [256, 256, 2],
    [129, 250, 1],
  ])('%i to %i, %i trees: three rows alone and among 600', { timeout: 60_000 }, async (D, O, trees) => {
    const layer = standardLayer('fff', { dims: { D, O, trees, depth: 4 } });
    const { x, ...weights } = randomTensors(layer, { T: many }, 91) as Record<string, Float32Array>;
    using device = await openHostCuda();
    const rows = async (target: Target, from: number, to: number): Promise<readonly number[]> => {
      using loaded = await loadLayer(device, await compile(layer, { target }), weights);
      const { y } = await loaded.run({ x: (x as Float32Array).slice(from * D, to * D) });
      return [...(y?.data ?? [])];
    };
    const byRows = forced(cuda, (forms) => forms.find((f) => f.form === 'rows'));
    const bySubtrees = forced(cuda, (forms) => forms.find((f) => f.form === 'subtrees'));
    const all = await rows(cuda, 0, many);
    expect(all.length).toBe(many * O);
    // Where they stand in no way even: not at the beginning of a workgroup's rows.
    for (const from of [0, 301, 597]) {
      const among = all.slice(from * O, (from + 3) * O);
      expect(new Set(among).size).toBeGreaterThan(700);
      expect(await rows(byRows, from, from + 3), `row by row, from ${from}`).toEqual(among);
      expect(await rows(bySubtrees, from, from + 3), `by subtrees, from ${from}`).toEqual(among);
      expect(await rows(cuda, from, from + 3), `as many as there are, from ${from}`).toEqual(among);
    }
  });
});
