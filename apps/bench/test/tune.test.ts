/** Tuning: a small search from start to file, going on where it was, and what is made of its choices. No time is asserted. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompileError, compile, cuda, partition, shapeOf, tuned, type Variant, wasm } from '@espalier/codegen';
import { compareLayer, randomTensors } from '@espalier/conformance';
import { standardLayer } from '@espalier/ir';
import { openWasm } from '@espalier/runtime-wasm';
import { afterAll, describe, expect, it } from 'vitest';
import { machineKey } from '../src/machine.ts';
import { candidatesFor } from '../src/tune/candidates.ts';
import { tuneCommand } from '../src/tune/command.ts';
import { type Choice, isGain, shapesOf, type TuningFile } from '../src/tune/tune.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-tune-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'a', 'tuning.json');
const grown = join(folder, 'grown.json');

const tune = async (...given: string[]) => {
  let [out, error] = ['', ''];
  const code = await tuneCommand(given, {
    out: { write: (t: string) => (out += t) },
    error: { write: (t: string) => (error += t) },
    environment: {},
  });
  return { code, out, error };
};
const small = ['fff', '--dims', 'D=8,O=8,trees=1,depth=3', '--seconds', '0.05', '--out', file];

describe('a search', () => {
  it('ends with a file that compiles the layer rightly', async () => {
    const { code, out, error } = await tune(...small, '--rows', '1,9');
    expect(error).toMatch(/rows \[\* 8\].*walk 4.*, 1 rows: \d+ candidates/);
    expect(code).toBe(0);
    expect(out).toContain(`written: ${file}`);
    const tuning = JSON.parse(readFileSync(file, 'utf8')) as TuningFile;
    expect(tuning.choices.map((c) => c.rows)).toEqual([1, 9]);
    expect(tuning.machine).toMatchObject({ ...machineKey() });
    for (const { form, gain } of tuning.choices) expect(form !== null).toBe(isGain(gain));
    expect(Object.keys(tuning.shapes)).toHaveLength(tuning.choices.some((c) => c.form !== null) ? 1 : 0);
    const layer = standardLayer('fff', { dims: { D: 8, O: 8, trees: 1, depth: 3 } });
    using device = await openWasm();
    for (const T of [1, 2, 20])
      expect(
        await compareLayer(device, layer, { T }, randomTensors(layer, { T }, T), { target: tuned(wasm, tuning) }),
      ).toBe(null);
  });

  it('of a layer whose candidates make the memory grow ends, too', async () => {
    // 48 times 0.5 MB of weights and more of activations: the memory grows while candidates are loaded.
    const dims = 'D=256,H=256,O=256';
    const { code, error, out } = await tune('ff', '--dims', dims, '--rows', '64', '--seconds', '0.05', '--out', grown);
    expect(error).not.toContain('R029');
    expect(code).toBe(0);
    expect(out).toContain('contract [* 256] sum 256, 64 rows: ');
  });

  it('shows on a terminal what it is doing, and nothing of that elsewhere', async () => {
    const given = ['fff', '--dims', 'D=8,O=8,trees=1,depth=2', '--rows', '3', '--seconds', '0.02', '--out'];
    let said = '';
    const streams = (isTTY: boolean) => ({
      out: { write: () => true },
      error: { isTTY, write: (t: string) => (said += t) },
      environment: {},
    });
    await tuneCommand([...given, join(folder, 'terminal.json')], streams(true));
    expect(said).toMatch(/3 rows: 10 candidates \(kernel 1 of 1\)\n/);
    expect(said).toContain('compiling and checking 11 of 11');
    expect(said).toContain("timing the best beside the compiler's own");
    said = '';
    await tuneCommand([...given, join(folder, 'pipe.json')], streams(false));
    expect(said.trim().split('\n')).toHaveLength(1);
  });

  it('goes on where it was', async () => {
    const { error } = await tune(...small, '--rows', '1,9,40');
    expect(error).not.toContain(', 9 rows');
    expect(error).toContain(', 40 rows');
    const { choices } = JSON.parse(readFileSync(file, 'utf8')) as TuningFile;
    expect(choices.map((c) => c.rows)).toEqual([1, 9, 40]);
  });

  it.each([
    [['fff'], /--out is missing/],
    [['--out', 'x.json'], /name one layer/],
    [['nothing', '--out', 'x.json'], /nothing/],
    [['ff', '--dims', 'D', '--out', 'x.json'], /--dims has "D"/],
    [['ff', '--rows', '0', '--out', 'x.json', '--dims', 'D=4,H=4,O=4'], /--rows has "0"/],
    [['ff', '--mode', 'narrow', '--out', 'x.json', '--dims', 'D=4,H=4,O=4'], /plain or wide/],
    [['ff', '--speed'], /--speed/],
  ] as const)('refuses %j', async (given, message) => {
    const { code, error } = await tune(...given);
    expect(error).toMatch(message);
    expect(code).toBe(2);
    expect(existsSync('x.json')).toBe(false);
  });

  it('does not mix machines', async () => {
    const other = join(folder, 'other.json');
    const tuning = JSON.parse(readFileSync(file, 'utf8')) as TuningFile;
    writeFileSync(other, JSON.stringify({ ...tuning, machine: { ...tuning.machine, cpu: 'another' } }));
    expect((await tune(...small.slice(0, -1), other)).error).toContain('of another machine');
    // The same name, another processor: two generations may both be an "AMD EPYC".
    const family = { ...tuning.machine, family: 'family 1, model 1' };
    writeFileSync(other, JSON.stringify({ ...tuning, machine: family }));
    expect((await tune(...small.slice(0, -1), other)).error).toContain('of another machine');
  });
});

describe('choices', () => {
  const choice = (rows: number, together: number): Choice => ({
    shape: 's',
    rows,
    form: { form: 'rows', together },
    gain: { median: 1.2, low: 1.1, high: 1.3 },
    tried: 2,
  });
  const kept = (rows: number): Choice => ({ ...choice(rows, 1), form: null });
  const none = new Map<string, readonly Variant[]>();
  const own = new Map<string, readonly Variant[]>([
    [
      's',
      [
        { name: 'few', from: 0, below: 5, form: { form: 'rows', together: 7 } },
        { name: '', from: 5, form: { form: 'rows', together: 8 } },
      ],
    ],
  ]);
  it('become variants that cover all numbers of rows', () => {
    expect(shapesOf([choice(1, 1), choice(16, 4), choice(100, 4), choice(400, 2)], [1, 16, 100, 400], none)).toEqual({
      s: [
        { name: 'to_3', from: 0, below: 4, form: { form: 'rows', together: 1 } },
        { name: 'to_199', from: 4, below: 200, form: { form: 'rows', together: 4 } },
        { name: '', from: 200, form: { form: 'rows', together: 2 } },
      ],
    });
  });
  it('of an unfinished shape are not used', () => expect(shapesOf([choice(1, 1)], [1, 16], none)).toEqual({}));
  it('leave the own form where it was not beaten', () => {
    expect(shapesOf([kept(1), choice(16, 4), kept(100)], [1, 16, 100], own)).toEqual({
      s: [
        { name: 'to_3', from: 0, below: 4, form: { form: 'rows', together: 7 } },
        { name: 'to_39', from: 4, below: 40, form: { form: 'rows', together: 4 } },
        { name: '', from: 40, form: { form: 'rows', together: 8 } },
      ],
    });
    expect(shapesOf([choice(1, 4), kept(100)], [1, 100], own)['s']?.map((v) => [v.name, v.from, v.below])).toEqual([
      ['to_9', 0, 10],
      ['', 10, undefined],
    ]);
  });
  it('of a shape that was never beaten are none', () => expect(shapesOf([kept(1), kept(9)], [1, 9], own)).toEqual({}));
  it('are only what is more than noise', () => {
    expect(isGain({ median: 1.2, low: 1.1, high: 1.3 })).toBe(true);
    expect(isGain({ median: 1.02, low: 1.01, high: 1.03 })).toBe(false);
    expect(isGain({ median: 1.2, low: 0.9, high: 1.5 })).toBe(false);
  });
});

describe('a tuning', () => {
  const layer = standardLayer('ff', { dims: { D: 16, H: 64, O: 32 } });
  it('knows shapes, not names', () => {
    expect(partition(layer).map(shapeOf)).toEqual(['contract [* 64] sum 16', 'contract [* 32] sum 64']);
  });
  it('changes what it knows and nothing else', async () => {
    const shapes = {
      'contract [* 64] sum 16': [{ name: '', from: 0, form: { form: 'blocks', rows: 12, columns: 32, depth: 8 } }],
    } as const;
    const target = tuned(wasm, { version: 1, target: 'wasm', capabilities: {}, shapes });
    const names = async (t: typeof wasm) =>
      (await compile(layer, { target: t })).manifest.launches.map((l) => l.kernel);
    expect(await names(wasm)).toEqual(['k0_few', 'k0', 'k1_few', 'k1']);
    expect(await names(target)).toEqual(['k0', 'k1_few', 'k1']);
  });
  it('is refused by another target', () =>
    expect(() => tuned(cuda, { version: 1, target: 'wasm', capabilities: {}, shapes: {} })).toThrow(CompileError));
});

describe('candidates', () => {
  const [unit] = partition(standardLayer('ff', { dims: { D: 768, H: 3072, O: 768 } }));
  const tiles = (lanes: number) =>
    new Set(
      candidatesFor(unit as NonNullable<typeof unit>, false, 128, { registers: 16, lanes, cache: 512 * 1024 }).map(
        (f) => (f.form === 'blocks' ? `${f.registers?.rows}x${f.registers?.columns}` : ''),
      ),
    );
  it('leave out tiles that no registers hold', () => {
    expect(tiles(4)).toContain('6x8');
    expect(tiles(4)).not.toContain('6x16');
    expect(tiles(8)).toContain('6x16');
  });
  it('read weights ahead where there are rows to use them', () => {
    const forms = (rows: number) =>
      candidatesFor(unit as NonNullable<typeof unit>, false, rows, { registers: 16, lanes: 4, cache: 512 * 1024 });
    expect(forms(1).some((f) => f.form === 'blocks' && f.touch !== undefined)).toBe(false);
    for (const f of forms(128)) expect(f).toMatchObject({ form: 'blocks', touch: { columns: 8, depth: 2 } });
  });
  it('sort walks only where there are many', () => {
    const [walk] = partition(standardLayer('fff', { dims: { D: 8, O: 8, trees: 1, depth: 10 } }));
    const forms = (rows: number) =>
      candidatesFor(walk as NonNullable<typeof walk>, true, rows, { registers: 16, lanes: 4, cache: 1e6 }).map(
        (f) => f.form,
      );
    expect(forms(16)).not.toContain('grouped');
    expect(forms(4096)).toContain('grouped');
  });
  it('are none where nothing is to be chosen', () => {
    const [norm] = partition(standardLayer('layer_norm', { dims: { D: 8 } }));
    expect(
      candidatesFor(norm as NonNullable<typeof norm>, false, 128, { registers: 16, lanes: 4, cache: 1e6 }),
    ).toEqual([]);
  });
});
