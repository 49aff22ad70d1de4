/** Turns, statistics, arguments and what is printed, on made-up contenders. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readArguments, UsageError } from '../src/arguments.ts';
import { benchCommand } from '../src/cli.ts';
import type { Contender, Work } from '../src/contract.ts';
import { measure, quantile, spreadOf } from '../src/measure.ts';
import { groupName, plan } from '../src/plan.ts';
import { duration, times } from '../src/report/format.ts';
import { pageOf } from '../src/report/html.ts';
import { groupText, tailText } from '../src/report/text.ts';
import type { Result, Results } from '../src/results.ts';

const pace = { seconds: 0, turn: 0, warmUp: 0 };
const work = (values: readonly number[], allowed = 0.1): Work =>
  ({
    name: 'w',
    kind: 'dense',
    tokens: 1,
    flops: 10,
    weightBytes: 4,
    allowed,
    expected: [{ row: 0, values: Float64Array.from(values) }],
  }) as unknown as Work;

function fake(output: readonly number[], log: string[], name: string): Contender & { runs: () => number } {
  let runs = 0;
  return {
    run: () => {
      runs++;
      log.push(name);
    },
    output: () => Float32Array.from(output),
    dispose: () => undefined,
    runs: () => runs,
  };
}

describe('statistics', () => {
  it('interpolates quantiles', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([7], 0.9)).toBe(7);
    expect(quantile([], 0.5)).toBe(Number.NaN);
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, low: 1.4, high: 4.6 });
  });
});

describe('measuring', () => {
  it('takes turns, and begins each round with another', async () => {
    const log: string[] = [];
    const w = work([1]);
    const entrants = ['a', 'b', 'c'].map((name) => ({ name, work: w, contender: fake([1], log, name) }));
    const { measured, rejected } = await measure(entrants, pace);
    expect(rejected).toEqual([]);
    // One run each to be checked, then three rounds.
    expect(log.join('')).toBe('abc' + 'abc' + 'bca' + 'cab');
    expect(measured.map((m) => m.turns)).toEqual([3, 3, 3]);
  });

  it.each([
    ['a wrong element', [1, 2.2]],
    ['NaN', [1, Number.NaN]],
    ['another length', [1]],
  ])('does not time %s', async (_, output) => {
    const log: string[] = [];
    const w = work([1, 2]);
    const [good, bad] = [fake([1, 2], log, 'good'), fake(output, log, 'bad')];
    const round = await measure(
      [
        { name: 'good', work: w, contender: good },
        { name: 'bad', work: w, contender: bad },
      ],
      pace,
    );
    expect(bad.runs()).toBe(1);
    expect(round.measured.map((m) => m.name)).toEqual(['good']);
    expect(round.rejected[0]?.why).toMatch(/^wrong output: .*not timed$/);
    expect(round.ratio('bad', 'good')).toBe(null);
  });

  it('compares with the first where nothing is known', async () => {
    const log: string[] = [];
    const unknown = { ...work([]), expected: [] };
    const entrants = [
      { name: 'first', work: unknown, contender: fake([1, 2], log, 'first') },
      { name: 'same', work: unknown, contender: fake([1, 2.05], log, 'same') },
      { name: 'other', work: unknown, contender: fake([1, 3], log, 'other') },
    ];
    const round = await measure(entrants, pace);
    expect(round.rejected.map((r) => r.name)).toEqual(['other']);
  });

  it('stops when asked, after what it is doing', async () => {
    const stop = new AbortController();
    stop.abort();
    const round = await measure([{ name: 'a', work: work([1]), contender: fake([1], [], 'a') }], {
      ...pace,
      stop: stop.signal,
    });
    expect(round.measured[0]?.turns).toBe(0);
  });

  it('hears that it is to stop while contenders are synchronous', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 20);
    // A minute that the test would not wait for.
    const long = { ...pace, seconds: 60, warmUp: 60, stop: stop.signal };
    const round = await measure([{ name: 'a', work: work([1]), contender: fake([1], [], 'a') }], long);
    expect(round.rejected).toEqual([]);
  });
});

describe('arguments', () => {
  const read = (...given: string[]) => readArguments(given, {}, false);
  it('have sensible defaults', () => {
    expect(read()).toMatchObject({
      tokens: [1, 128, 1024],
      threads: [1],
      modes: ['plain', 'wide'],
      baselines: [],
      coloured: false,
    });
    expect(read('--long').tokens).toContain(16384);
    expect(read('--paper').groups).toBe('paper');
  });
  it('keeps 128-bit before 256-bit, whatever the order asked for', () => {
    expect(read('--modes', 'wide,plain').modes).toEqual(['plain', 'wide']);
  });
  it.each([
    [['--tokens', '0'], /--tokens has "0"/],
    [['--tokens', '1,,2'], /--tokens has ""/],
    [['--threads', 'two'], /--threads has "two"/],
    [['--seconds', '0'], /--seconds is "0"/],
    [['--modes', 'narrow'], /--modes has "narrow"; it knows plain, wide/],
    [['--baselines', 'torch'], /--baselines has "torch"; it knows onnxruntime-node/],
    [['--tokns', '3'], /^there is no option --tokns; did you mean --tokens\?$/],
    [['--xylophone=3'], /^there is no option --xylophone; it knows --filter, --tokens/],
    [['-x'], /^there is no option -x; it knows/],
    [['--filter', 'tree', '128'], /^"128" belongs to no option; one of several words needs quotes$/],
    [['--seconds', '-1'], /^--seconds needs a value; one that begins with a dash is written --seconds=-…$/],
    [['--seconds=-1'], /--seconds is "-1"/],
    [['--modes'], /^--modes needs a value$/],
    [['--list=3'], /--list.*does not take an argument/],
    [['--threads', '65'], /--threads has "65"; give whole numbers from 1 to 64/],
    [['--seed', '1.5'], /--seed is "1.5"; give one whole number/],
    [['--json', ''], /--json has an empty value/],
    [['--targets', '--paper'], /--targets and --paper exclude each other/],
    [['--from', 'a.json', '--record', 'b.json'], /--record and --from exclude/],
    [['--fresh'], /--fresh goes with --record FILE/],
    [['--targets', '--tokens', '4'], /--tokens does not go with --targets/],
  ] as const)('refuse %j', (given, message) => {
    expect(() => read(...given)).toThrow(UsageError);
    expect(() => read(...given)).toThrow(message);
  });

  it('are read behind the "--" that pnpm hands on', () => {
    expect(read('--', '--tokens', '7').tokens).toEqual([7]);
  });
  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
    [{ TERM: 'dumb' }, true, false],
  ])('paint by %j on a terminal or not: %s', (environment, isTerminal, isColoured) => {
    expect(readArguments([], environment, isTerminal).coloured).toBe(isColoured);
    expect(readArguments(['--no-color'], environment, isTerminal).coloured).toBe(false);
  });

  const command = async (...given: string[]) => {
    let [out, error] = ['', ''];
    const code = await benchCommand(given, {
      out: { write: (t: string) => (out += t) },
      error: { write: (t: string) => (error += t) },
      environment: {},
    });
    return { code, out, error };
  };
  it('say what there is when nothing matches', async () => {
    const { code, error } = await command('--filter', 'forest');
    expect(code).toBe(2);
    expect(error).toContain(
      'no group has all of the words "forest"; there are\n  dense 768-3072-768, 1 token, 1 thread, plain',
    );
  });
  it('do what the README shows', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const [, line, shown] = /^\$ espalier bench (.*)\n([\s\S]*?)```/m.exec(readme) ?? [];
    expect((await command(...(line ?? '').split(' '))).out).toBe(shown);
  });
  it.each([
    [['--only', 'forest'], /--only has "forest"; there are\n {2}dense.*\n[\s\S]* {2}extras\n/],
    [['--from', 'nowhere.json'], /nowhere.json can't be read/],
    [['--from', 'package.json'], /package.json holds no results of version 2/],
    [['--tuning', 'nowhere.json'], /nowhere.json can't be read/],
    [['--tuning', 'package.json'], /holds no tuning/],
    [['--record', 'package.json'], /package.json holds no results of version 2; name another file/],
  ] as const)('say what is wrong with %j', async (given, message) => {
    const { code, error } = await command(...given);
    expect(code).toBe(2);
    expect(error).toMatch(message);
  });
  it('list and help without measuring', async () => {
    expect((await command('--list', '--filter', 'tree wide')).out.split('\n')).toHaveLength(4);
    expect((await command('--help')).out).toContain('--paper');
  });
});

const result: Result = {
  group: 'tree, wide',
  seed: 5,
  work: 'tree 768, 4095 neurons',
  kind: 'tree',
  tokens: 1000,
  threads: 1,
  mode: 'wide',
  note: '7 of 8 leaves reached',
  rows: [
    {
      name: 'espalier',
      time: { median: 2, low: 1, high: 3 },
      turns: 9,
      gflops: 20,
      gigabytes: 5,
      limit: { of: 'arithmetic', share: 0.25 },
      error: 1e-7,
    },
    {
      name: 'openblas, dense 4095',
      does: 'dense',
      time: { median: 200, low: 190, high: 220 },
      turns: 9,
      gflops: 60,
      gigabytes: 5,
      ratio: { median: 100, low: 90, high: 110 },
      error: 1e-7,
    },
  ],
  skipped: [{ name: 'c-tree', reason: 'there is no C compiler', command: 'apt-get install gcc' }],
  rejected: [{ name: '<evil>', why: 'wrong output' }],
};
const results: Results = {
  version: 2,
  command: 'espalier bench',
  seed: 5,
  machine: { date: '2026-11-24', cpu: 'A & B', cores: 2, memory: '8 GiB', system: 'Linux', node: '24', v8: '13' },
  results: [result],
  amdahl: [{ mode: 'wide', sequence: 128, layers: 12, dense: 260, tree: 100, none: 90, reached: 2.6, possible: 2.89 }],
  call: { median: 47, low: 44, high: 60 },
  stopped: false,
};

describe('what is printed', () => {
  it('shows a group', () => {
    expect(groupText(result, { coloured: false })).toBe(
      `tree 768, 4095 neurons · 1,000 tokens · 1 thread · 256-bit  7 of 8 leaves reached
                        a token          10 … 90 %  GFLOP/s  GB/s  of ceiling  to ours
  espalier              2.00 µs  1.00 µs … 3.00 µs     20.0   5.0    25 % alu
  openblas, dense 4095   200 µs    190 µs … 220 µs     60.0   5.0              100x  (90x … 110x)
  <evil>: wrong output
  skipped c-tree: there is no C compiler; apt-get install gcc`,
    );
    expect(groupText(result, { coloured: true })).toContain('\u001b[');
  });
  it('sums up', () => {
    const text = tailText(results);
    expect(text).toContain('Amdahl allows 2.89x; trees reach 2.60x, 90 % of it');
    expect(text).toContain('1 wrong, 1 baseline skipped somewhere');
  });
  it('makes a page that stands alone', () => {
    const page = pageOf(results);
    expect(page).toContain('&lt;evil&gt;');
    expect(page).toContain('A &amp; B');
    expect(page).not.toMatch(/<(script|link|img)|https?:/);
  });
  it('has room in its drawings for long names and wide spreads', () => {
    const rows = result.rows.map((row) => ({
      ...row,
      name: `${row.name}, a name that is rather longer than others`,
      time: { ...row.time, high: 10 * row.time.high },
    }));
    const [, width, drawing] = /<svg viewBox="0 0 ([\d.]+) .*?">(.*?)<\/svg>/s.exec(
      pageOf({ ...results, results: [{ ...result, rows }] }).replace(/<svg class="gauge".*?<\/svg>/gs, ''),
    ) as unknown as [string, string, string];
    // Six units a letter are less than any font takes.
    const names = [...drawing.matchAll(/<text x="([\d.]+)" y="15" text-anchor="end">(.*?)<\/text>/g)];
    expect(names).toHaveLength(2);
    for (const [, x, name] of names) expect(Number(x)).toBeGreaterThan(6 * (name ?? '').length);
    const times = [...drawing.matchAll(/<text x="([\d.]+)" y="15">(.*?)<\/text>/g)];
    expect(times).toHaveLength(2);
    for (const [, x, text] of times)
      expect(Number(x) + 6 * (text ?? '').replace(/<.*?>/g, '').length).toBeLessThan(Number(width));
    for (const [, x] of drawing.matchAll(/x2="([\d.]+)"/g)) expect(Number(x)).toBeLessThan(Number(width));
  });
  it('writes durations and ratios with as many digits as mean something', () => {
    expect([0.00123, 0.0456, 0.789, 12.3, 4567].map(duration)).toEqual([
      '1.23 µs',
      '45.6 µs',
      '789 µs',
      '12.3 ms',
      '4.57 s',
    ]);
    expect([0.913, 65.4].map(times)).toEqual(['0.91x', '65x']);
  });
});

describe('the plan', () => {
  it('measures 128-bit kernels before the engine is told to fuse', () => {
    const groups = plan({ tokens: [1], threads: [1], modes: ['plain', 'wide'], long: false, filter: '' });
    const modes = groups.map((g) => g.mode);
    expect(modes.lastIndexOf('plain')).toBeLessThan(modes.indexOf('wide'));
  });
  it('filters by words', () => {
    const groups = plan({
      tokens: [1, 128],
      threads: [1, 2],
      modes: ['wide'],
      long: false,
      filter: 'Dense 128 2 threads',
    });
    expect(groups.map(groupName)).toEqual(['dense 768-3072-768, 128 tokens, 2 threads, wide']);
  });
});
