/** Files that are asked for: refused before anything is measured where they can't be written, and where what they hold is something else. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../src/arguments.ts';
import { benchCommand } from '../src/cli.ts';
import { mustBeWritable, writeWhole } from '../src/files.ts';
import { machineKey } from '../src/machine.ts';
import { tuneCommand } from '../src/tune/command.ts';
import { isTuningFile, joined, type TuningFile } from '../src/tune/tune.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-bench-files-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);
writeFileSync(at('file'), '');
mkdirSync(at('folder'));

async function said(command: typeof benchCommand | typeof tuneCommand, ...given: string[]) {
  const said = { out: '', error: '' };
  const stream = (key: keyof typeof said) => ({ write: (t: string) => (said[key] += t) });
  const code = await command(given, { out: stream('out'), error: stream('error'), environment: {} });
  return { code, ...said };
}

/** Where nothing can be written. /proc refuses new folders in a way that Node's `recursive` never ends on. */
const unwritable = [at('folder'), join(at('file'), 'out.json'), '/proc/nowhere/out.json'].filter(
  (path) => !path.startsWith('/proc') || existsSync('/proc/self'),
);

describe.each(unwritable)('%s', (path) => {
  it.each(['--json', '--html', '--markdown'])('is refused as %s before anything is measured', async (option) => {
    // Seconds that the test would not wait for.
    const given = ['--filter', 'dense 1 token, plain', '--baselines', 'none', '--seconds', '600', option, path];
    const { code, out, error } = await said(benchCommand, ...given);
    expect([code, out]).toEqual([2, '']);
    expect(error).toContain(`${path} can't be written: `);
  });

  it('is refused by tune before anything is tried', async () => {
    const layer = ['ff', '--dims', 'D=4,H=4,O=4', '--seconds', '600'];
    const { code, out, error } = await said(tuneCommand, ...layer, '--out', path);
    expect([code, out]).toEqual([2, '']);
    expect(error).toMatch(/can't be (written|read): /);
    expect(error).not.toContain('candidates');
  });

  it('is refused by --record before anything is measured', async () => {
    const { code, out } = await said(benchCommand, '--record', path, '--filter', 'dense 1 token, plain');
    expect([code, out]).toEqual([2, '']);
  });
});

it('a file is written whole, and nothing is left beside it', () => {
  mustBeWritable(at('new/er/file.json'));
  writeWhole(at('new/er/file.json'), 'one');
  writeWhole(at('new/er/file.json'), 'two');
  expect(readFileSync(at('new/er/file.json'), 'utf8')).toBe('two');
  expect(() => writeWhole(at('folder'), 'text')).toThrow(UsageError);
  expect(readdirSync(at('new/er'))).toEqual(['file.json']);
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
});

describe.each(['null', '[]', '{}', '{"version":2,"results":[{}]}', '{"version":1,"shapes":null}', '{', '7'])(
  'a file with %s',
  (text) => {
    writeFileSync(at('odd.json'), text);
    it.each(['--from', '--record', '--tuning'])('is refused by bench %s', async (option) => {
      writeFileSync(at('odd.json'), text);
      const { code, error } = await said(benchCommand, option, at('odd.json'), '--filter', 'dense 1 token, plain');
      expect(code).toBe(2);
      expect(error).toMatch(/odd\.json (holds no|can't be read)/);
      expect(readFileSync(at('odd.json'), 'utf8')).toBe(text);
    });
    it('is refused by tune, and stays as it is', async () => {
      writeFileSync(at('odd.json'), text);
      const given = ['ff', '--dims', 'D=4,H=4,O=4', '--out', at('odd.json')];
      const { code, error } = await said(tuneCommand, ...given);
      expect(code).toBe(2);
      expect(error).toMatch(/odd\.json (is there and holds no tuning|can't be read)/);
      expect(readFileSync(at('odd.json'), 'utf8')).toBe(text);
    });
  },
);

const tuning = (shape: string, rows: number, isFaster: boolean): TuningFile => {
  const form = isFaster ? ({ form: 'rows', together: 4 } as const) : null;
  return {
    ...{ version: 1, target: 'wasm', capabilities: {}, machine: { ...machineKey(), date: '2026-01-01' } },
    shapes: form === null ? {} : { [shape]: [{ name: '', from: 0, form }] },
    choices: [{ shape, rows, form, gain: { median: 1, low: 1, high: 1 }, tried: 1 }],
  };
};

describe('two searches into one file', () => {
  it('keep what both found', async () => {
    const layers = [
      ['fff', '--dims', 'D=8,O=8,trees=1,depth=3'],
      ['fff', '--dims', 'D=12,O=12,trees=1,depth=4'],
    ];
    const more = ['--rows', '1', '--seconds', '0.05', '--out', at('both.json')];
    await Promise.all(layers.map((layer) => said(tuneCommand, ...layer, ...more)));
    const { choices } = JSON.parse(readFileSync(at('both.json'), 'utf8')) as TuningFile;
    expect(new Set(choices.map(({ shape }) => shape)).size).toBe(2);
  });

  it('keep the own answer where both have one', () => {
    expect(joined(tuning('s', 1, true), null)).toEqual(tuning('s', 1, true));
    expect(joined(tuning('s', 1, false), tuning('s', 1, true))).toEqual(tuning('s', 1, false));
    const both = joined(tuning('s', 1, true), tuning('t', 1, true));
    expect(Object.keys(both.shapes).sort()).toEqual(['s', 't']);
    expect(both.choices.map(({ shape }) => shape).sort()).toEqual(['s', 't']);
    expect(isTuningFile(both)).toBe(true);
  });
});
