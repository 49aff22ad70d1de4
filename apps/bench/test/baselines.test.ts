/**
 * Every baseline computes what it is said to compute: small layers of odd sizes beside a plain float64 computation, every element.
 * Those that can't run here are skipped by name with the reason; ESPALIER_REQUIRE_BASELINES=1 makes the lack of onnxruntime-node a
 * failure. No time is asserted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interpretGraph } from '@espalier/ir';
import { afterEach, describe, expect, it } from 'vitest';
import { baselines } from '../src/baselines/index.ts';
import { nativeCeilings } from '../src/baselines/native/ceilings.ts';
import { hasWideVectors, nativeLibrary } from '../src/baselines/native/library.ts';
import { weight } from '../src/baselines/weights.ts';
import { type Absence, type Baseline, isAbsent, type Work } from '../src/contract.ts';
import { encoderWork } from '../src/encoder.ts';
import { denseWork, treeWork } from '../src/works.ts';

const seed = Math.floor(Math.random() * 2 ** 31);

/** erf by its series, which converges everywhere and is exact to 1e-13 up to 4; beyond that it is 1 to 1e-8. */
function erf(x: number): number {
  if (Math.abs(x) > 4) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const gelu = (s: number): number => 0.5 * s * (1 + erf(s * Math.SQRT1_2));

function dot(a: Float32Array, from: number, b: Float32Array, at: number, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += (a[from + i] as number) * (b[at + i] as number);
  return sum;
}

function denseReference(work: Work): Float64Array {
  const [w1, b1, w2, b2] = ['w1', 'b1', 'w2', 'b2'].map((n) => weight(work, n)) as Float32Array[] as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const x = work.inputs['x'] as Float32Array;
  const [hidden, width] = [b1.length, b2.length];
  const y = new Float64Array(work.tokens * width);
  for (let t = 0; t < work.tokens; t++) {
    const h = Array.from(b1, (b, j) => gelu(dot(x, t * width, w1, j * width, width) + b));
    for (let o = 0; o < width; o++)
      y[t * width + o] = h.reduce((s, a, j) => s + a * (w2[o * hidden + j] as number), b2[o] as number);
  }
  return y;
}

/** Also refuses works where a score is too near 0 for float32 to tell its sign. */
function treeReference(work: Work): Float64Array {
  const [w1, b1, w2] = ['w1', 'b1', 'w2'].map((n) => weight(work, n)) as [Float32Array, Float32Array, Float32Array];
  const x = work.inputs['x'] as Float32Array;
  const [nodes, width] = [b1.length, x.length / work.tokens];
  const y = new Float64Array(x.length);
  for (let t = 0; t < work.tokens; t++)
    for (let n = 0; n < nodes; ) {
      const s = dot(x, t * width, w1, n * width, width) + (b1[n] as number);
      if (Math.abs(s) < 1e-5 && s !== 0) throw new RangeError(`seed ${seed}: a score of ${s} decides nothing`);
      const a = gelu(s);
      for (let o = 0; o < width; o++)
        y[t * width + o] = (y[t * width + o] as number) + a * (w2[n * width + o] as number);
      n = 2 * n + 1 + (s > 0 ? 1 : 0);
    }
  return y;
}

function encoderReference(work: Work): Float64Array {
  const run = interpretGraph(work.graph, { dims: work.dims, inputs: work.inputs });
  return Float64Array.from(run.tensors.get(work.graph.outputs[0] ?? '') as ArrayLike<number>);
}

const references = { dense: denseReference, tree: treeReference, encoder: encoderReference };

/** The next seed from here on whose reference decides every path. */
function decided(make: (seed: number) => Work): Work {
  for (let s = seed; ; s++) {
    const work = make(s);
    try {
      references[work.kind](work);
      return work;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
}

/** The same work with other weights. */
function withWeights(work: Work, change: (data: Float32Array) => Float32Array | Uint16Array): Work {
  const weights = new Map(
    [...work.graph.weights].map(([name, w]) => {
      const data = change(w.data as Float32Array);
      return [name, { ...w, storage: data instanceof Uint16Array ? ('f16' as const) : w.storage, data }];
    }),
  );
  return { ...work, graph: { ...work.graph, weights } };
}

const rounded = (data: Float32Array): Float32Array => Float32Array.from(Float16Array.from(data));

function works(kind: Work['kind']): readonly (readonly [string, Work])[] {
  if (kind === 'encoder') return [['one layer, 3 tokens', encoderWork(1, 'dense', 3, seed)]];
  if (kind === 'dense') {
    const silent = denseWork(9, 3, seed, 7);
    for (const data of Object.values(silent.inputs)) data.fill(0);
    return [
      ['20-33-20, 7 tokens', denseWork(33, 7, seed, 20)],
      ['12-8-12, 1 token', denseWork(8, 1, seed, 12)],
      ['19-65-19, 130 tokens', denseWork(65, 130, seed, 19)],
      ['63-63-63, 5 tokens', denseWork(63, 5, seed, 63)],
      ['1-1-1, 2 tokens', denseWork(1, 2, seed, 1)],
      ['7-9-7, zeros', silent],
      // Scores far out in the tails of the activation.
      ['7-9-7, large weights', withWeights(denseWork(9, 5, seed, 7), (w) => w.map((v) => 8 * v))],
    ];
  }
  const silent = treeWork(3, 3, seed, 20);
  for (const data of Object.values(silent.inputs)) data.fill(0);
  return [
    ['20 wide, 15 nodes, 9 tokens', decided((s) => treeWork(3, 9, s, 20))],
    ['13 wide, 127 nodes, 1 token', decided((s) => treeWork(6, 1, s, 13))],
    // One short of a multiple of every vector and block.
    ['63 wide, 31 nodes, 40 tokens', decided((s) => treeWork(4, 40, s, 63))],
    ['5 wide, one node, 3 tokens', decided((s) => treeWork(0, 3, s, 5))],
    ['131 wide, 1023 nodes, 50 tokens', decided((s) => treeWork(9, 50, s, 131))],
    ['11 wide, 255 nodes, 2049 tokens', decided((s) => treeWork(7, 2049, s, 11))],
    ['20 wide, zeros', silent],
    ['37 wide, half-precision numbers', decided((s) => withWeights(treeWork(5, 21, s, 37), rounded))],
  ];
}

const cases = {
  dense: works('dense'),
  tree: works('tree'),
  encoder: works('encoder'),
};

/** Runs once and compares every element. */
async function expectRight(baseline: Baseline, work: Work, threads = 1): Promise<void> {
  const contender = await baseline.prepare(work, threads);
  if (isAbsent(contender)) throw new Error(contender.reason);
  try {
    await contender.run();
    expectSame(await contender.output(), work);
    // Again, and on other inputs of the same place, where the work may change them.
    if (work.next !== undefined) {
      const kept = (work.inputs['x'] as Float32Array).slice();
      (work.inputs['x'] as Float32Array).set(kept.map((v) => -0.75 * v));
      await contender.run();
      expectSame(await contender.output(), work);
      (work.inputs['x'] as Float32Array).set(kept);
    }
    await contender.run();
    expectSame(await contender.output(), work);
  } finally {
    await contender.dispose();
  }
}

function expectSame(found: Float32Array, work: Work): void {
  const expected = references[work.kind](work);
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
  const apart = expected.reduce((m, v, i) => {
    const d = Math.abs(v - (found[i] as number));
    return Math.max(d, m);
  }, 0);
  expect(apart / largest).toBeLessThan(work.kind === 'encoder' ? 2e-4 : 5e-6);
}

/** Why a baseline can't do any of its works here; null if it can. */
async function absenceOf(baseline: Baseline, work: Work): Promise<Absence | null> {
  try {
    const contender = await baseline.prepare(work, 1);
    if (isAbsent(contender)) return contender;
    await contender.dispose();
    return null;
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

it('onnxruntime-node is here where it must be', async () => {
  const node = baselines.find((b) => b.name === 'onnxruntime-node') as Baseline;
  const absence = await absenceOf(node, cases.dense[0]?.[1] as Work);
  expect(process.env['ESPALIER_REQUIRE_BASELINES'] === '1' ? absence : null).toBe(null);
});

it('names each once, with a title that says what it is', () => {
  expect(new Set(baselines.map((b) => b.name)).size).toBe(baselines.length);
  for (const { name, title, kinds } of baselines) {
    expect(name).toMatch(/^[a-z0-9.-]+$/);
    expect(title.length).toBeGreaterThan(10);
    expect(kinds.length).toBeGreaterThan(0);
  }
});

for (const baseline of baselines) {
  // The last tree is one that everybody can do, also those that want half-precision weights.
  const own = baseline.kinds.flatMap((kind) => cases[kind]);
  const absence = await absenceOf(baseline, own.at(baseline.name === 'c-tree-f16' ? -1 : 0)?.[1] as Work);
  const halves = (name: string): boolean => /half/.test(name);
  if (absence !== null) {
    it.skip(`${baseline.name}: ${absence.reason}`, () => undefined);
    continue;
  }
  describe(`${baseline.name} (seed ${seed})`, () => {
    it.each(own)('%s', async (name, work) => {
      const refused = await baseline.prepare(work, 1);
      if (baseline.name === 'c-tree-f16' && !halves(name)) {
        expect(refused).toEqual({ reason: 'the weights are no half-precision numbers' });
        return;
      }
      if (!isAbsent(refused)) await refused.dispose();
      await expectRight(baseline, work);
    });

    it('on two threads is right too, or says why not', async () => {
      const work = (own.at(-1) as (typeof own)[number])[1];
      const contender = await baseline.prepare(work, 2);
      if (isAbsent(contender)) {
        expect(contender.reason).toMatch(/one thread|1 thread/);
        return;
      }
      await contender.dispose();
      await expectRight(baseline, work, 2);
    });
  });
}

const bits = (data: Float32Array): Uint16Array => new Uint16Array(Float16Array.from(data).buffer);
const stored = decided((s) => withWeights(treeWork(4, 6, s, 17), bits));
for (const baseline of baselines.filter((b) => /^(c-tree|published)/.test(b.name))) {
  const absence = await absenceOf(baseline, stored);
  const name = `half-precision storage is read by ${baseline.name}`;
  if (absence === null) it(name, () => expectRight(baseline, stored));
  else it.skip(`${name}: ${absence.reason}`, () => undefined);
}

describe('programs in C', () => {
  const { PATH, TMPDIR } = process.env;
  let folder = '';
  afterEach(() => {
    process.env['PATH'] = PATH;
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
    rmSync(folder, { recursive: true, force: true });
  });

  it('are absent where there is no compiler, and say what would mend it', async () => {
    folder = mkdtempSync(join(tmpdir(), 'espalier-bench-test-'));
    process.env['TMPDIR'] = folder;
    process.env['PATH'] = folder;
    const missing = { reason: 'there is no C compiler', command: 'apt-get install -y gcc libc6-dev' };
    expect(nativeLibrary('tree')).toEqual(missing);
    expect(await nativeCeilings()).toEqual(missing);
  });

  it('refuse trees that they would compute wrongly', async () => {
    const cTree = baselines.find((b) => b.name === 'c-tree') as Baseline;
    const work = treeWork(2, 2, seed, 4);
    const w2 = work.graph.weights.get('w2');
    if (w2 === undefined) throw new Error('a tree has w2');
    const narrow = new Map([...work.graph.weights, ['w2', { ...w2, shape: [1, 7, 3], data: new Float32Array(21) }]]);
    const answer = await cTree.prepare({ ...work, graph: { ...work.graph, weights: narrow } }, 1);
    expect(isAbsent(answer) ? answer.reason : 'taken').toMatch(/one tree with biases|no C compiler|not compile/);
  });
});

it('measures ceilings that are rates', async () => {
  const found = await nativeCeilings();
  if ('reason' in found) {
    expect(found.reason).toMatch(/no C compiler|not compile/);
    return;
  }
  const { fma512, read24, read128, ...rest } = found;
  expect(Object.keys(rest)).toEqual(['fma256', 'fma128']);
  expect(fma512 === undefined).toBe(!hasWideVectors());
  const rates = [...Object.values(rest), ...Object.values(read24), ...Object.values(read128), fma512 ?? 1];
  for (const rate of rates) expect(rate > 0 && Number.isFinite(rate)).toBe(true);
});
