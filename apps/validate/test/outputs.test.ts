/** What is written: outputs under golden names, JSON of a stated version, a page that needs nothing else. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors, type TensorView, toFloat64, toInt32 } from '@espalier/models';
import { describe, expect, test } from 'vitest';
import { bundled, command, fixture, scratch } from './support/streams.ts';

const open = async (path: string): Promise<ReadonlyMap<string, TensorView>> =>
  readSafetensors(await readFile(path)).tensors;

/** Every recorded tensor but the float64 runs and the position table must be there, in its recorded shape. */
async function covers(file: string, golden: string, but: RegExp = /\.f64$|^pos_embedding\.pe$/): Promise<void> {
  const [ours, theirs] = [await open(file), await open(golden)];
  for (const [name, view] of theirs) {
    if (but.test(name)) continue;
    const found = ours.get(name);
    expect(found, name).toMatchObject({ shape: view.shape, dtype: view.dtype });
    if (found === undefined) continue;
    if (view.dtype === 'I32') expect([...toInt32(found)], name).toEqual([...toInt32(view)]);
    else {
      const wanted = toFloat64(view);
      const off = toFloat64(found).reduce((top, x, i) => {
        const y = wanted[i] as number;
        return Math.max(top, x === y ? 0 : Math.abs(x - y));
      }, 0);
      expect(off, name).toBeLessThan(1e-4);
    }
  }
}

describe('outputs', () => {
  test('of a model with two variants: a folder each', async () => {
    await using folder = await scratch();
    const { code } = await command([
      fixture('crammed-fff-tiny'),
      '--outputs',
      folder.path,
      '--no-report',
      '--no-timing',
      '--targets',
      'wasm,wasm:threads=2,plain',
    ]);
    expect(code).toBe(0);
    const written = ['golden.nomask', 'wasm.safetensors', 'wasm_threads_2_plain.safetensors'];
    expect((await readdir(folder.path)).sort()).toEqual(written);
    for (const [variant, place] of [
      ['golden', '.'],
      ['golden.nomask', 'golden.nomask'],
    ] as const)
      for (const target of ['wasm', 'wasm_threads_2_plain'])
        await covers(
          join(folder.path, place, `${target}.safetensors`),
          join(fixture('crammed-fff-tiny'), `${variant}.safetensors`),
        );
  });

  test.each(['fff-layer-bmm', 'fff-leaf', 'layers-f64'])('of %s: one file, all layers', async (name) => {
    await using folder = await scratch();
    // At depth 0 nothing is decided; the recorded margin of the zero row is 0 all the same.
    const but = /\.f64$|^w16_d0_o16_b4\.margin$/;
    const { code } = await command([fixture(name), '--outputs', folder.path, '--no-report', '--targets', 'wasm']);
    expect(code).toBe(0);
    expect(await readdir(folder.path)).toEqual(['wasm.safetensors']);
    await covers(join(folder.path, 'wasm.safetensors'), join(fixture(name), 'golden.safetensors'), but);
  });

  test('of texts: in the shapes of the graph', async () => {
    await using folder = await scratch();
    const args = ['--text', 'A [MASK].', '--text', 'The [MASK] is [MASK].', '--targets', 'wasm'];
    await command([bundled('tiny-bert'), '--outputs', folder.path, '--no-report', '--no-timing', ...args]);
    const tensors = await open(join(folder.path, 'texts', 'wasm.safetensors'));
    const shapes = Object.fromEntries([...tensors].map(([name, view]) => [name, view.shape]));
    expect(shapes).toMatchObject({
      input_ids: [2, 7],
      attention_mask: [2, 7],
      token_type_ids: [2, 7],
      mask_positions: [3],
      mask_logits: [3, 4096],
      'hidden_states.4': [2, 7, 128],
      'ffn.0.output': [2, 7, 128],
    });
  });

  test('of a masked language model: logits where asked', async () => {
    await using folder = await scratch();
    await command([
      bundled('tiny-ultrafastbert'),
      '--outputs',
      folder.path,
      '--no-report',
      '--no-timing',
      '--targets',
      'wasm',
    ]);
    await covers(join(folder.path, 'wasm.safetensors'), join(bundled('tiny-ultrafastbert'), 'golden.safetensors'));
  });
});

describe('reports', () => {
  test('a page without anything from outside, and JSON', async () => {
    await using folder = await scratch();
    const json = join(folder.path, 'deep', 'r.json');
    const text = 'The <b>river</b> & the "[MASK]" \'x\' ran.';
    const { code, out } = await command([
      bundled('tiny-ultrafastbert'),
      '--report',
      folder.path,
      '--json',
      json,
      '--text',
      text,
      '--targets',
      'wasm',
    ]);
    expect(code).toBe(0);
    expect(out).toContain(text);
    expect(out).toContain('what it says, computed by wasm');
    for (const line of out.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
    const page = await readFile(join(folder.path, 'index.html'), 'utf8');
    expect(page).not.toMatch(/(src|href)\s*=\s*["'](?!#)/);
    expect(page).not.toMatch(/https?:|url\(|@import|<script|<link|<iframe|<b>river/);
    expect(page).toContain('&lt;b&gt;river&lt;/b&gt; &amp; the &quot;[MASK]&quot; &#39;x&#39;');
    expect(page.match(/<svg /g)?.length).toBeGreaterThanOrEqual(2 * (1 + 4 + 1));
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).not.toMatch(/NaN|undefined|\[object/);
    const report = JSON.parse(await readFile(json, 'utf8'));
    expect(report).toMatchObject({
      format: 'espalier-validation',
      version: 1,
      agrees: true,
      totals: { cases: 2, errors: 0 },
    });
    expect(report.checkpoints[0].cases[0].runs.map((run: { name: string }) => run.name)).toEqual([
      'interpreter',
      'onnxruntime',
      'wasm',
    ]);
    expect(report.checkpoints[0].timing.targets[0].spec).toBe('wasm');
  });

  test('verbose shows every comparison', async () => {
    const { out } = await command([fixture('hf-bert-tiny'), '--no-report', '--no-timing', '--targets', 'wasm', '-v']);
    for (const reference of ['golden', 'golden f64', 'interpreter', 'onnxruntime'])
      expect(out).toContain(`wasm against ${reference}\n`);
    for (const line of out.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
  });
});
