/**
 * V8's 256-bit mode: an experimental flag of the engine under which its optimising compiler fuses neighbouring 128-bit
 * operations into 256-bit ones. Nothing tells from outside whether it does, so this finds out, once a process: a tile of
 * 6 × 16 floats has 24 vectors of accumulators, which fit the machine's 16 registers only when fused. Fused it multiplies more
 * than twice as fast as a tile of 6 × 4, which has no neighbours to fuse; not fused it spills and is slower than that. Both must
 * give the same bits.
 *
 * The flag belongs to the whole process, worker threads included. It is reached at run time, as worker threads are, so bundles
 * for browsers see no module of Node.
 */
import { engine, type WasmMemory } from './engine.ts';
import { supports } from './probes.ts';

interface NodeProcess {
  readonly arch?: string;
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly versions?: Readonly<Record<string, string | undefined>>;
  getBuiltinModule?(name: string): unknown;
}

/** Sets or clears a flag of the engine, without its dashes. */
type SetFlag = (name: string, on: boolean) => void;

const REVECTORIZE = 'experimental-wasm-revectorize';

const ROWS = 6;
/** Columns of B and of the results. */
const COLUMNS = 16;
const DEPTH = 256;
/** Byte addresses in the probe's memory: A as [k, row], B as [k, column], and two results as [row, column]. */
const [A, B, WIDE, NARROW] = [0, 8192, 24576, 28672] as const;

/** LEB128 of a number from 0 to 8191; one byte more than an unsigned one needs, so that it is right for signed ones too. */
const leb = (value: number): readonly number[] => (value < 64 ? [value] : [(value & 127) | 128, value >> 7]);
const sized = (content: readonly number[]): readonly number[] => [...leb(content.length), ...content];
const section = (id: number, ...content: readonly number[]): readonly number[] => [id, ...sized(content)];
const upTo = <T>(count: number, make: (i: number) => readonly T[]): readonly T[] =>
  Array.from({ length: count }, (_, i) => make(i)).flat();
const get = (local: number): readonly number[] => [0x20, local];
const set = (local: number): readonly number[] => [0x21, local];
const advance = (local: number, by: number): readonly number[] => [
  ...get(local),
  0x41,
  ...leb(by),
  0x6a,
  ...set(local),
];

/**
 * The body of a function (a, b, c: addresses, k: count) that stores at c the product of k columns of A and k rows of B, the latter
 * `vectors` vectors wide: one loop over k, whose accumulators are locals.
 */
function tile(vectors: number): readonly number[] {
  const [a, b, c, k, column] = [0, 1, 2, 3, 4];
  const row = column + vectors;
  const relaxed = supports('relaxedSimd');
  const sum = (r: number, v: number): number => row + 1 + r * vectors + v;
  const multiplyAdd = (r: number, v: number): readonly number[] => {
    const [x, y, z] = [get(row), get(column + v), get(sum(r, v))];
    // f32x4.relaxed_madd, or mul and add
    return relaxed ? [...x, ...y, ...z, 0xfd, 0x85, 0x02] : [...z, ...x, ...y, 0xfd, 0xe6, 0x01, 0xfd, 0xe4, 0x01];
  };
  return sized([
    ...[0x01, ...leb(vectors + 1 + ROWS * vectors), 0x7b],
    ...[0x03, 0x40],
    ...upTo(vectors, (v) => [...get(b), 0xfd, 0x00, 0x04, ...leb(16 * v), ...set(column + v)]),
    ...upTo(ROWS, (r) => [
      // v128.load32_splat
      ...[...get(a), 0xfd, 0x09, 0x02, ...leb(4 * r), ...set(row)],
      ...upTo(vectors, (v) => [...multiplyAdd(r, v), ...set(sum(r, v))]),
    ]),
    ...advance(a, 4 * ROWS),
    ...advance(b, 4 * COLUMNS),
    // k ← k − 1, and once more unless it is 0
    ...[...get(k), 0x41, 0x7f, 0x6a, 0x22, k, 0x0d, 0x00, 0x0b],
    ...upTo(ROWS, (r) =>
      upTo(vectors, (v) => [...[...get(c), ...get(sum(r, v)), 0xfd, 0x0b, 0x04], ...leb(4 * COLUMNS * r + 16 * v)]),
    ),
    0x0b,
  ]);
}

/**
 * A module exporting the tiles as `w` (6 × 16) and `n` (6 × 4), and its memory as `m`. It ends in a custom section of a random name:
 * engines keep one compiled module for equal bytes, and this one must be compiled under the flags of now.
 */
const probe = (): Uint8Array<ArrayBuffer> =>
  Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, 1, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 0),
    ...section(3, 2, 0, 0),
    ...section(5, 1, 0, 1),
    ...section(7, 3, 1, 0x77, 0, 0, 1, 0x6e, 0, 1, 1, 0x6d, 2, 0),
    ...section(10, 2, ...tile(COLUMNS / 4), ...tile(1)),
    ...section(0, 8, ...upTo(8, () => [97 + Math.floor(Math.random() * 26)])),
  ]);

type Tile = (a: number, b: number, c: number, k: number) => void;

/** What the fused tile must be faster by than the one that can't be: 2.4 is seen where it is fused, 0.7 where it isn't. */
const FASTER = 1.5;
const ATTEMPTS = 4;
const ROUNDS = 40;
const CALLS = 8;

/** Why the code of the probe, compiled now, is not what is wanted; undefined when it is. */
function verdict(): string | undefined {
  const { Module, Instance } = engine();
  const { exports } = new Instance(new Module(probe()), {});
  const [wide, narrow, memory] = [exports['w'] as Tile, exports['n'] as Tile, exports['m'] as WasmMemory];
  const floats = new Float32Array(memory.buffer);
  // Values whose products and sums are rounded all the time.
  for (let i = 0; i < WIDE / 4; i++) floats[i] = Math.sin(i * i + 1);
  const runWide = (): void => wide(A, B, WIDE, DEPTH);
  const runNarrow = (): void => {
    for (let v = 0; v < COLUMNS / 4; v++) narrow(A, B + 16 * v, NARROW + 16 * v, DEPTH);
  };
  runWide();
  runNarrow();
  const words = new Int32Array(memory.buffer);
  for (let i = 0; i < ROWS * COLUMNS; i++)
    if (words[WIDE / 4 + i] !== words[NARROW / 4 + i]) return 'its results are wrong';
  const { performance } = globalThis as unknown as { performance: { now(): number } };
  const time = (run: () => void): number => {
    const before = performance.now();
    for (let i = 0; i < CALLS; i++) run();
    return performance.now() - before;
  };
  let [best, bestNarrow] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  // What disturbs a measurement only makes it longer, so the best of many is near the truth, and more of them nearer.
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (let round = 0; round < ROUNDS; round++) {
      best = Math.min(best, time(runWide));
      bestNarrow = Math.min(bestNarrow, time(runNarrow));
    }
    if (bestNarrow >= FASTER * best) return undefined;
  }
  return `nothing is fused: a tile that should be ${FASTER} times as fast as another is ${(bestNarrow / best).toFixed(2)} times`;
}

const nodeProcess = (): NodeProcess | undefined => (globalThis as { process?: NodeProcess }).process;

/** What sets flags of the engine, or the reason why nothing does. */
function flagSetter(): SetFlag | string {
  const process = nodeProcess();
  const v8 = process?.getBuiltinModule?.('node:v8') as { setFlagsFromString?(flag: string): void } | undefined;
  const major = Number.parseInt(process?.versions?.['node'] ?? '', 10);
  if (!v8?.setFlagsFromString || process?.versions?.['bun'] !== undefined || process?.versions?.['deno'] !== undefined)
    return 'the 256-bit mode is a flag of V8 that only Node can turn on';
  if (!(major >= 24)) return `the 256-bit mode needs Node 24, this is ${major}`;
  if (process?.arch !== 'x64') return `V8 has a 256-bit mode on x64 only, this is ${process?.arch}`;
  return (name, on) => v8.setFlagsFromString?.(on ? `--${name}` : `--no-${name}`);
}

/** Whether the process was started with a word about `flag`, which then is not ours to set. */
const isStated = (flag: string): boolean => {
  const { execArgv = [], env } = nodeProcess() ?? {};
  return [...execArgv, ...(env?.['NODE_OPTIONS'] ?? '').split(' ')].some(
    (word) => word.replace(/^--(no-?)?/, '') === flag,
  );
};

function check(setFlag: SetFlag): string | undefined {
  // Without the baseline compiler the probe is optimised when it is first called, so there is no tier-up to wait for.
  const baseline = !isStated('liftoff');
  try {
    setFlag(REVECTORIZE, true);
    if (baseline) setFlag('liftoff', false);
    return verdict();
  } catch (error) {
    return `the self-check failed (${(error as Error).message})`;
  } finally {
    if (baseline) setFlag('liftoff', true);
    if (!isStated(REVECTORIZE)) setFlag(REVECTORIZE, false);
  }
}

let known: { readonly refusal: string | undefined } | undefined;

/**
 * Why there is no 256-bit mode here; undefined when there is. The first call in a process measures for some milliseconds; the
 * flag is left as it was.
 */
export function wideRefusal(): string | undefined {
  if (known) return known.refusal;
  const setFlag = flagSetter();
  known = { refusal: typeof setFlag === 'string' ? setFlag : check(setFlag) };
  return known.refusal;
}

/** Turns the 256-bit mode on for all code that this process compiles from now on. Returns why not, where it is refused. */
export function turnWideOn(): string | undefined {
  const refusal = wideRefusal();
  const setFlag = flagSetter();
  if (refusal === undefined && typeof setFlag !== 'string') setFlag(REVECTORIZE, true);
  return refusal;
}
