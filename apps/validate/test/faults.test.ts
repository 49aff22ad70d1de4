/** Compilers that are wrong on purpose: the difference is found, named, shrunk to one row, written, and replayed. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors, toFloat32, writeSafetensors } from '@espalier/models';
import { describe, expect, test } from 'vitest';
import { readRepro, writeRepro } from '../src/repro/file.ts';
import { wasmFamily } from '../src/targets/wasm.ts';
import { validate } from '../src/validate.ts';
import { brokenFamily, miscompile } from './support/broken.ts';
import { bundled, command, fixture, scratch } from './support/streams.ts';

describe('faults', () => {
  test('a wrong constant in an activation', async () => {
    await using folder = await scratch();
    // In crammed-ff-tiny only the feedforward blocks hold a 0.5: it is half of GELU.
    const families = [
      brokenFamily(miscompile('"kind":"literal","value":0.5,', '"kind":"literal","value":0.5001,')),
      wasmFamily,
    ];
    const { code, out } = await command(
      [fixture('crammed-ff-tiny'), '--targets', 'broken,wasm', '--report', folder.path, '--no-timing', '--no-color'],
      families,
    );
    expect(code).toBe(1);
    expect(out).toMatch(/✗ broken departs first at ffn\.0\.output, node layers\.0\.ffn, layer ff/);
    expect(out).not.toMatch(/✗ wasm departs/);
    expect(out).toMatch(/smallest: layers\.0\.ffn alone, T = 1: y\[0, \d+\]/);
    const files = (await readdir(folder.path)).filter((name) => name.endsWith('.espalier-repro'));
    // One for each golden variant.
    expect(files.length).toBe(3);
    const file = join(folder.path, files[0] as string);
    const again = await command(['--repro', file], families);
    expect(again.code).toBe(1);
    expect(again.out).toMatch(/✗ broken: still fails\. y\[0, \d+\]/);
    const right = await command(['--repro', file, '--targets', 'wasm'], families);
    expect(right.code).toBe(0);
    expect(right.out).toContain('✓ wasm: agrees now');
    const both = await command(['--repro', file, '--targets', 'wasm,broken'], families);
    expect(both.code).toBe(1);
    const bytes = await readFile(file);
    expect([...writeRepro(await readRepro(file))]).toEqual([...bytes]);
  });

  test('a tree that turns the other way: the route is named before any value', async () => {
    await using folder = await scratch();
    const families = [brokenFamily(miscompile('"op":"gt"', '"op":"lt"'))];
    const report = await validate({
      checkpoints: [fixture('crammed-fff-tiny')],
      families,
      timing: false,
      repros: folder.path,
    });
    expect(report.agrees).toBe(false);
    const run = report.checkpoints[0]?.cases[0]?.runs.find((candidate) => candidate.name === 'broken');
    expect(run?.first).toMatchObject({
      node: 'layers.0.ffn',
      layer: 'fff',
      check: { kind: 'route', name: 'fff.0.nodes' },
    });
    expect(run?.first?.message).toMatch(
      /leaves golden's route at level 0, node 0, whose exact score .* leaves no doubt/,
    );
    expect(run?.first?.text).toContain('layer fff(');
    expect(run?.first?.shrunk).toMatchObject({ node: 'layers.0.ffn', file: expect.stringContaining(folder.path) });
    // Every row left its route, so nothing after it is called wrong as well.
    const after = run?.comparisons.flatMap(({ checks }) => checks.filter((check) => check.name === 'hidden_states.2'));
    expect(after?.map((check) => check.rows)).toEqual([0, 0, 0]);
  });

  test('>= for >: only a tie tells, and a tie without rounding has one right way', async () => {
    const families = [brokenFamily(miscompile('"op":"gt"', '"op":"ge"'))];
    const report = await validate({ checkpoints: [fixture('layers-f64')], families, timing: false });
    const failed = report.checkpoints[0]?.cases.filter((one) => !one.agrees);
    expect(failed?.map((one) => one.id)).toEqual(['golden/fff_h24_d4_p2_gelu_tie']);
    const first = failed?.[0]?.runs.find((run) => run.name === 'broken')?.first;
    expect(first?.check).toMatchObject({
      kind: 'route',
      differences: [
        { row: 5, score: 0, bound: 0 },
        { row: 5, tree: 1 },
      ],
    });
    expect(first?.shrunk?.node).toBe('fff');
  });

  test('a kernel that does not run is a difference with its message', async () => {
    const failing = { ...brokenFamily((layer) => layer) };
    const families = [
      {
        ...failing,
        open: async (spec: string) => {
          const target = await failing.open(spec);
          return { ...target, compile: () => Promise.reject(new Error('the compiler fell over')) };
        },
      },
    ];
    const { code, out } = await command([bundled('tiny-bert'), '--no-report'], families);
    expect(code).toBe(1);
    expect(out).toMatch(/✗ broken gave no results\s+the compiler fell over/);
    expect(out).toContain('no timing: the compiler fell over');
  });

  test('golden data of another run: the references disagree, and that is said', async () => {
    await using folder = await scratch();
    const source = fixture('crammed-fff-seqcls');
    const { tensors, metadata } = readSafetensors(await readFile(join(source, 'golden.safetensors')));
    const changed = [...tensors.values()].map((view) => {
      const data =
        view.name === 'hidden_states.1' ? toFloat32(view).map((x, i) => (i === 7 ? x + 1e-3 : x)) : view.bytes;
      return { name: view.name, dtype: view.dtype, shape: view.shape, data };
    });
    const path = join(folder.path, 'golden.safetensors');
    await writeFile(path, writeSafetensors(changed, metadata));
    const report = await validate({ checkpoints: [source], golden: [path], targets: ['wasm'], timing: false });
    const runs = report.checkpoints[0]?.cases[0]?.runs;
    expect(runs?.map((run) => [run.name, run.first?.check.name])).toEqual([
      ['interpreter', 'hidden_states.1'],
      ['onnxruntime', 'hidden_states.1'],
      ['wasm', 'hidden_states.1'],
    ]);
    // Nothing departs alone: the kernels are right.
    expect(runs?.at(-1)?.first?.shrunk).toMatchObject({ node: null, file: null });
  });
});
