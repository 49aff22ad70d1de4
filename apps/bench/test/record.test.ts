/** A set of results, group by group: kept as it comes, gone on with, and put together. No time is asserted. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { benchCommand } from '../src/cli.ts';
import { describeMachine } from '../src/machine.ts';
import { merged } from '../src/record.ts';
import type { Result, Results } from '../src/results.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-record-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bench(...given: string[]) {
  const said = { out: '', error: '' };
  const stream = (key: keyof typeof said) => ({ write: (t: string) => (said[key] += t) });
  const code = await benchCommand(given, { out: stream('out'), error: stream('error'), environment: {} });
  return { code, ...said };
}

const file = join(folder, 'results.json');
const one = ['--record', file, '--filter', 'dense 1 token, plain', '--seconds', '0.02'];
const read = (): Results => JSON.parse(readFileSync(file, 'utf8')) as Results;

it('measures in a process of its own, and not again what is there', { timeout: 120_000 }, async () => {
  const first = await bench(...one);
  expect(first.error).toBe('');
  expect(first.code).toBe(0);
  expect(first.out).toContain('0 of 1 there, 1 to measure');
  expect(read().results.map((r) => r.group)).toEqual(['dense 768-3072-768, 1 token, 1 thread, plain']);
  expect(read().results[0]?.rows.map((r) => r.name)).toContain('onnxruntime-node');
  // A page and tables lie beside it.
  expect(readFileSync(join(folder, 'results.md'), 'utf8')).toContain('## Targets');
  expect(readFileSync(join(folder, 'results.html'), 'utf8')).toContain('<!doctype html>');

  const before = readFileSync(file, 'utf8');
  const second = await bench(...one);
  expect(second.out).toContain('1 of 1 there, 0 to measure');
  expect(readFileSync(file, 'utf8')).toBe(before);

  const shown = await bench('--from', file, '--markdown', join(folder, 'again.md'));
  expect(shown.code).toBe(0);
  expect(shown.out).toContain('dense 768-3072-768 · 1 token · 1 thread · 128-bit');
  expect(readFileSync(join(folder, 'again.md'), 'utf8')).toBe(readFileSync(join(folder, 'results.md'), 'utf8'));
});

it('is stopped by Ctrl-C, and writes nothing where there is nothing', { timeout: 60_000 }, async () => {
  const stopped = join(folder, 'stopped.json');
  const said = { out: '', error: '' };
  const out = (text: string): void => {
    said.out += text;
    if (text.includes('1 to measure')) setTimeout(() => process.emit('SIGINT'), 300);
  };
  // Ten minutes, which the test would not wait for.
  const given = ['--record', stopped, '--filter', 'dense 1 token, plain', '--seconds', '600'];
  const code = await benchCommand(given, {
    out: { write: out },
    error: { write: (text: string) => (said.error += text) },
    environment: {},
  });
  expect(code).toBe(130);
  expect(said.out).toMatch(/ended early, not kept\nstopped before anything was measured/);
  expect(existsSync(stopped)).toBe(false);
});

it('says what it cannot start', async () => {
  const given = ['--record', join(folder, 'through.json'), '--filter', 'dense 1 token, plain'];
  const { code, error } = await bench(...given, '--through', './nowhere -c 1');
  expect(code).toBe(2);
  expect(error).toContain("./nowhere can't be started");
});

it('does not mix machines', async () => {
  const other = join(folder, 'other.json');
  const machine = { ...describeMachine(), family: 'family 1, model 1' };
  writeFileSync(other, JSON.stringify({ version: 2, machine, results: [], amdahl: [], seed: 1, stopped: false }));
  const { code, error } = await bench('--record', other, '--filter', 'dense');
  expect(code).toBe(2);
  expect(error).toContain("their results don't mix");
});

describe('putting together', () => {
  const result = (group: string, seed: number): Result =>
    ({ ...{ group, seed, rows: [], skipped: [], rejected: [] } }) as unknown as Result;
  const ceilings = (fma: number) => ({
    ...{ fma256: fma, fma128: fma / 2 },
    ...{ read24: { inOrder: fma, randomRows: 1 }, read128: { inOrder: 2, randomRows: fma } },
  });
  const results = (list: readonly Result[], fma: number, more: Partial<Results> = {}): Results => ({
    ...{ version: 2, command: '', seed: 1, amdahl: [], stopped: false, results: list },
    machine: { date: 'd', cpu: 'c', cores: 1, memory: '', system: '', node: '', v8: '', ceilings: ceilings(fma) },
    ...more,
  });
  const command = { command: 'espalier bench --record x' };

  it('replaces a group by its newer self and keeps the others', () => {
    const all = merged(results([result('a', 1), result('b', 1)], 9), results([result('a', 2)], 9), command);
    expect(all.results.map((r) => [r.group, r.seed])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    expect(all.command).toBe(command.command);
  });
  it('keeps the best of the ceilings: they are what is possible', () => {
    expect(merged(results([], 100), results([], 90), command).machine.ceilings).toEqual(ceilings(100));
    expect(merged(results([], 90), results([], 100), command).machine.ceilings).toEqual(ceilings(100));
  });
  it('keeps what only one has', () => {
    const call = { median: 40, low: 30, high: 50 };
    const line = {
      mode: 'wide',
      sequence: 128,
      layers: 12,
      dense: 3,
      tree: 1,
      none: 1,
      reached: 3,
      possible: 3,
    } as const;
    const before = results([], 9, { call, amdahl: [line, { ...line, layers: 6 }] });
    const after = merged(before, results([], 9, { amdahl: [{ ...line, dense: 4 }] }), command);
    expect(after.call).toEqual(call);
    expect(after.amdahl.map((a) => [a.layers, a.dense])).toEqual([
      [6, 3],
      [12, 4],
    ]);
  });
});
