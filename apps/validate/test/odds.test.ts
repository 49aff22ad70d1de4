/** The rest: checkpoints without golden data, no ONNX Runtime, progress, colours, JSON of numbers that JSON lacks. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { progressOn } from '../src/cli/progress.ts';
import { bytes, cosineLoss, duration, precise, scientific } from '../src/reports/format.ts';
import { logScale } from '../src/reports/html/plots/scale.ts';
import { reportJson } from '../src/reports/json.ts';
import { styleFor, table, wantsColour, wrap } from '../src/reports/terminal/style.ts';
import { validate } from '../src/validate.ts';
import { bundled, command, fixture, scratch } from './support/streams.ts';

describe('checkpoints without golden data', () => {
  test('random tokens where there is no tokenizer either', async () => {
    await using folder = await scratch();
    await cp(fixture('crammed-fff-tiny'), folder.path, { recursive: true });
    for (const name of ['golden.safetensors', 'golden.nomask.safetensors', 'golden.json'])
      await rm(join(folder.path, name));
    const { code, out } = await command([folder.path, '--no-report', '--no-timing', '--targets', 'wasm']);
    expect(code).toBe(0);
    expect(out).toContain('random tokens');
    expect(out).toContain('no golden: none recorded for these inputs');
  });

  test('an encoder says how alike texts are', async () => {
    await using folder = await scratch();
    await cp(bundled('tiny-bert'), folder.path, { recursive: true });
    await rm(join(folder.path, 'golden.safetensors'));
    const path = join(folder.path, 'config.json');
    await writeFile(
      path,
      JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), architectures: ['BertModel'] }),
    );
    const texts = ['The old man went home.', 'An old man walked home.', 'Stocks fell sharply.'];
    const { code, out } = await command([
      folder.path,
      '--no-report',
      '--no-timing',
      '--targets',
      'wasm',
      ...texts.flatMap((text) => ['--text', text]),
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/The old man went home\.\s+[01]\.\d{3} An old man walked home\.\s+-?[01]\.\d{3} Stocks fell/);
  });
});

test('without ONNX Runtime the report says so, and the rest is compared', async () => {
  const report = await validate({
    checkpoints: [fixture('fff-leaf')],
    targets: ['wasm'],
    onnx: async () => ({ available: false, reason: 'no build for this machine' }),
  });
  expect(report).toMatchObject({
    agrees: true,
    onnxruntime: { available: false, reason: 'no build for this machine' },
  });
  const [one] = report.checkpoints[0]?.cases ?? [];
  expect(one?.references.at(-1)).toEqual({ name: 'onnxruntime', available: false, note: 'no build for this machine' });
  expect(one?.runs.map((run) => run.name)).toEqual(['interpreter', 'wasm']);
});

test('progress: a live line on a terminal, plain lines elsewhere', () => {
  const written: string[] = [];
  const stream = { columns: 30, write: (text: string) => written.push(text) };
  const plain = progressOn(stream, false);
  for (const text of ['a · golden · x', 'a · golden · y', 'a · texts · x']) plain.stage(text);
  plain.end();
  expect(written.splice(0)).toEqual(['a · golden\n', 'a · texts\n']);
  const live = progressOn(stream, true);
  live.stage('a · golden · something long enough to be cut');
  live.stage('half', 0);
  live.end();
  expect(written[0]).toBe('\r\u001b[Ka · golden · something long e');
  expect(written[1]).toContain('············ half');
  expect(written[2]).toBe('\r\u001b[K');
});

test('colours follow the terminal, NO_COLOR and FORCE_COLOR', () => {
  const terminal = { isTTY: true };
  expect(wantsColour(terminal, {})).toBe(true);
  expect(wantsColour(terminal, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColour(terminal, { NO_COLOR: '' })).toBe(true);
  expect(wantsColour(terminal, { TERM: 'dumb' })).toBe(false);
  expect(wantsColour({}, {})).toBe(false);
  expect(wantsColour({}, { FORCE_COLOR: '1' })).toBe(true);
  expect(wantsColour({}, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  expect(styleFor(true).bad('x')).toBe('\u001b[31mx\u001b[39m');
  expect(
    table([
      [{ text: 'a' }, { text: '1' }, { text: 'z' }],
      [{ text: 'bb' }, { text: '22' }, { text: '' }],
    ]),
  ).toEqual(['  a    1  z', '  bb  22']);
  expect(wrap('one two three', 9, '  ')).toEqual(['  one two', '  three']);
});

test('numbers for people', () => {
  expect([0, 1.234e-6, 12.345, 0.05, Number.NaN, Number.POSITIVE_INFINITY, -2e-3].map(scientific)).toEqual([
    '0',
    '1.2e-6',
    '12.3',
    '0.05',
    'NaN',
    '∞',
    '-2.0e-3',
  ]);
  expect(precise(3.0722321)).toBe('3.072232');
  expect([cosineLoss(1), cosineLoss(1 - 1e-9)]).toEqual(['0', '1.0e-9']);
  expect([0.5, 12.34, 123.4, 1234].map(duration)).toEqual(['0.50 ms', '12.3 ms', '123 ms', '1.23 s']);
  expect([12, 1234, 1.2e7].map(bytes)).toEqual(['12 B', '1.2 KB', '12.0 MB']);
  const scale = logScale([1e-6, 1e-3, 0, Number.POSITIVE_INFINITY], 100);
  expect([scale.at(0), scale.at(Number.POSITIVE_INFINITY)]).toEqual([0, 100]);
  expect(scale.at(1e-4)).toBeGreaterThan(scale.at(1e-5));
  expect(logScale([], 100).exponents.length).toBeGreaterThan(1);
});

test('JSON names the numbers it lacks', async () => {
  const report = await validate({ checkpoints: [fixture('fff-layer-bmm')], targets: ['wasm'], timing: false });
  const text = reportJson({ ...report, seconds: Number.NaN });
  expect(JSON.parse(text).seconds).toBe('NaN');
  // A tree of depth 0 decides nothing: its margins are infinite.
  expect(text).toContain('"Infinity"');
});
