/**
 * What is printed for CUDA, given to nvcc: every layer of the library, and kernels by hand, for three generations,
 * without a warning and without registers spilled to memory. Skipped where there is no nvcc; ESPALIER_REQUIRE_NVCC=1 makes that a failure.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { standardLayer, standardLayerNames } from '@espalier/ir';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../src/compile.ts';
import { cuda } from '../src/targets/cuda/index.ts';
import { VALUES } from './support/all-layers.ts';
import { everyMemory, everyOp, opCases, printed, products } from './support/cuda-kernels.ts';
import { attentionOnLanes, denseOnLanes, denseOnMatrixUnits, treeOnLanes } from './support/lane-kernels.ts';

/** Why nvcc can't be used here; null where it can. */
const missing = ((): string | null => {
  try {
    execFileSync('nvcc', ['--version'], { stdio: 'ignore' });
    return null;
  } catch (error) {
    return `nvcc does not run: ${error instanceof Error ? error.message : String(error)}`;
  }
})();

const describeOrSkip = missing === null ? describe : describe.skip;
const required = process.env['ESPALIER_REQUIRE_NVCC'] === '1';
if (missing !== null && !required) it.skip(`sources are not compiled by nvcc here: ${missing}`, () => {});
if (required) it('nvcc is required', () => expect(missing).toBeNull());

/** Rows enough for every tile: the sizes that dense layers have in small models. */
const wide: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  linear: { D: 256, O: 256 },
  gated_ff: { D: 128, H: 256, O: 128 },
  attention: { heads: 2, width: 64 },
  fff: { D: 128, O: 128, trees: 2, depth: 4 },
};

describeOrSkip('nvcc', { timeout: 600_000 }, () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'espalier-nvcc-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Compiles sources in one go; gives what ptxas says of kernels that keep anything in local memory. Rejects with nvcc's log. */
  const check = (
    sources: ReadonlyMap<string, string>,
    architectures: readonly number[],
  ): Promise<readonly string[]> => {
    const files = [...sources].map(([name, source]) => {
      writeFileSync(join(folder, `${name}.cu`), source);
      return `${name}.cu`;
    });
    const flags = [
      ...['-fmad=false', '-Werror', 'all-warnings', '-Xptxas', '-v', '-dc', '--threads', '0'],
      ...architectures.flatMap((sm) => ['-gencode', `arch=compute_${sm},code=sm_${sm}`]),
    ];
    return new Promise((resolve, reject) => {
      execFile('nvcc', [...flags, ...files], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        const log = `${stdout}${stderr}`;
        if (error !== null) reject(new Error(log));
        else resolve(log.split('\n').filter((line) => /[1-9]\d* bytes spill/.test(line)));
      });
    });
  };

  it('takes every layer for sm_80, sm_90 and sm_100, by lanes and by tensor cores', async () => {
    const sources = new Map<string, string>();
    for (const name of standardLayerNames)
      sources.set(name, (await compile(standardLayer(name, VALUES[name]), { target: cuda })).source);
    for (const [name, dims] of Object.entries(wide)) {
      for (const allowed of [null, 'tensor-cores', 'tensor-bf16', 'tensor-f16']) {
        const capabilities = allowed === null ? {} : { [allowed]: true };
        const { source } = await compile(standardLayer(name, { dims }), { target: cuda, capabilities });
        sources.set(`${name}-wide-${allowed ?? 'lanes'}`, source);
      }
    }
    // Large enough for walks to be sorted.
    const large = standardLayer('fff', { dims: { D: 1024, O: 1024, trees: 1, depth: 12 } });
    sources.set('fff-large', (await compile(large, { target: cuda })).source);
    expect(sources.get('fff-large')).toContain('k0_many_order(');
    expect(sources.size).toBeGreaterThan(25);
    expect(await check(sources, [80, 90, 100])).toEqual([]);
  });

  it('takes every operation, access and matrix format for sm_80, sm_90 and sm_100', async () => {
    const sources = new Map([
      ['operations', printed(everyOp(opCases))],
      ['memory', printed(everyMemory())],
      ['products', printed(...products)],
      ['dense', printed(denseOnLanes(12, 40), denseOnMatrixUnits(12, 40))],
      ['others', printed(treeOnLanes(12, 40, 2, 3), attentionOnLanes(2, 36))],
    ]);
    expect(await check(sources, [80, 90, 100])).toEqual([]);
  });

  it('refuses what is wrong, with a reason', async () => {
    const source = printed(everyMemory()).replace('every_memory(', 'every_memory(undeclared_type* ');
    await expect(check(new Map([['wrong', source]]), [80])).rejects.toThrow(/undeclared_type/);
  });
});
