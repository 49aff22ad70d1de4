/** The command line: what is understood, and what every mistake is answered with. */
import { describe, expect, test } from 'vitest';
import { readArguments, splitTargets } from '../src/cli/arguments.ts';
import { UsageError } from '../src/errors.ts';
import { command, fixture, scratch } from './support/streams.ts';

describe('arguments', () => {
  test('all of them', () => {
    const args = readArguments([
      '--',
      'a',
      'b',
      '--golden',
      'g',
      '--text',
      'x',
      '--text=y',
      '--targets',
      'wasm,wasm:plain',
      '--report',
      'r',
      '--json=j',
      '--outputs',
      'o',
      '--no-color',
      '-v',
      '--no-timing',
    ]);
    expect(args).toEqual({
      checkpoints: ['a', 'b'],
      golden: ['g'],
      texts: ['x', 'y'],
      targets: ['wasm', 'wasm:plain'],
      report: 'r',
      json: 'j',
      outputs: 'o',
      repro: null,
      colour: false,
      verbose: true,
      timing: false,
      help: false,
    });
    expect(readArguments(['--no-report']).report).toBeNull();
  });

  test('a comma inside a target', () => {
    expect(splitTargets('wasm,wasm:threads=2,plain, wasm:plain')).toEqual([
      'wasm',
      'wasm:threads=2,plain',
      'wasm:plain',
    ]);
    expect(splitTargets('plain')).toEqual(['plain']);
    expect(splitTargets('wasm:threads=2,wide,wasm:wide')).toEqual(['wasm:threads=2,wide', 'wasm:wide']);
  });

  test.each([
    [['--target', 'wasm'], 'V001', '--targets'],
    [['--outptus', 'x'], 'V001', '--outputs'],
    [['--xyzzyplugh'], 'V001', 'Options: --golden'],
    [['--text'], 'V001', 'equals sign'],
    [['--json', ''], 'V001', 'Write it after'],
    [['--targets', ','], 'V001', 'e.g. --targets'],
    [['--verbose=yes'], 'V001', ''],
    [['--report', 'a', '--no-report'], 'V007', 'Leave one'],
    [['--repro', 'f', 'model'], 'V007', 'alone'],
    [[''], 'V001', 'Hub'],
  ])('%j is refused', (given, code, hint) => {
    const refused = (): unknown => readArguments(given as string[]);
    expect(refused).toThrow(UsageError);
    try {
      refused();
    } catch (error) {
      expect(error).toMatchObject({ code, hint: expect.stringContaining(hint as string) });
    }
  });
});

describe('exit code 2', () => {
  test.each([
    [['--target=x'], /V001.*--target[\s\S]*Did you mean --targets/],
    [[fixture('crammed-fff-tiny'), '--targets', 'wsam'], /V002.*wsam[\s\S]*Did you mean wasm/],
    [[fixture('crammed-fff-tiny'), '--targets', 'wasm:plian'], /V002.*plian[\s\S]*wasm:plain/],
    [['no-such-folder.safetensors'], /M001/],
    [[fixture('crammed-fff-tiny'), '--golden', 'nowhere.safetensors'], /V003.*nowhere/],
    [[fixture('crammed-fff-tiny'), '--golden', `${fixture('layers-f64')}/golden.safetensors`], /V003.*input_ids/],
    [[fixture('hf-bert-tiny'), '--golden', `${fixture('crammed-ff-tiny')}/golden.safetensors`], /V003|M110/],
    [[fixture('fff-leaf'), '--golden', `${fixture('layers-f64')}/golden.safetensors`], /V003/],
    [['--golden', 'x'], /V007/],
    [[fixture('crammed-fff-tiny'), '--text', 'hello'], /V004.*tokenizer/],
    [[fixture('layers-f64'), '--text', 'hello'], /V004/],
    [['--repro', 'nowhere'], /V005.*nowhere/],
    [['--repro', `${fixture('layers-f64')}/golden.safetensors`], /V005.*espalier-repro/],
  ])('%j', async (args, message) => {
    await using folder = await scratch();
    const { code, out, error } = await command([
      ...(args as string[]),
      ...(args.includes('--repro') ? [] : ['--report', folder.path]),
    ]);
    expect(code).toBe(2);
    expect(error).toMatch(message as RegExp);
    expect(out).toBe('');
  });

  test('a report folder that is a file', async () => {
    const { code, error } = await command([
      fixture('fff-leaf'),
      '--no-timing',
      '--targets',
      'wasm',
      '--report',
      `${fixture('fff-leaf')}/config.json/x`,
    ]);
    expect(code).toBe(2);
    expect(error).toMatch(/V006/);
  });

  test('--help is no mistake', async () => {
    const { code, out } = await command(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('Exit code: 0');
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });
});
