/** What the timings come to: comparisons of runs back to back, and the aims they are held against. */
import type { Check, Ratio } from '../report.ts';
import { ORT_ON_WEBGPU, OURS_ON_WEBGPU } from '../webgpu/contenders.ts';
import { encoders, nameOfDense, namesOfLarge, namesOfTree, tokenCounts } from './works.ts';

/** Least part of cuBLASLt's speed in bf16. */
const AIM_OF_CUBLAS = 0.8;
/** How much faster a tree shall be than the fastest dense block of as many neurons, at many tokens. */
const AIM_OF_TREE = { tokens: 16384, times: 5 };
/** Most microseconds of a tree at one token. */
const AIM_OF_TOKEN = 6;

const US = 'espalier';
const CUBLAS = 'cuBLASLt';

interface Timed {
  readonly by: string;
  readonly work: string;
  readonly precision: string;
  readonly tokens: number;
  readonly microseconds: number;
  /** For people, where it is chosen among several: "cuBLASLt, bf16". */
  readonly label: string;
}

/** The timings among checks that passed, by one of their figures. */
function timingsOf(checks: readonly Check[], figure: 'backToBack' | 'byClock'): readonly Timed[] {
  return checks.flatMap(({ outcome, subject, figures }) => {
    const milliseconds = figures?.[figure];
    if (outcome !== 'passed' || !subject || typeof milliseconds !== 'number') return [];
    const { by, work, precision, tokens } = subject;
    const label = String(figures?.['writing'] ?? `${by}, ${precision}`);
    return [{ by, work, precision, tokens, microseconds: 1000 * milliseconds, label }];
  });
}

function compared(
  name: string,
  ours: Timed,
  theirs: Timed,
  { aim, chosen = false }: { aim?: number | undefined; chosen?: boolean } = {},
): Ratio {
  const times = theirs.microseconds / ours.microseconds;
  return {
    name,
    ...(chosen ? { chosen: theirs.label } : { precision: ours.precision }),
    tokens: ours.tokens,
    microseconds: ours.microseconds,
    comparedWith: theirs.microseconds,
    times,
    ...(aim === undefined ? {} : { aim, met: times >= aim }),
  };
}

const fastest = (timings: readonly Timed[]): Timed | undefined =>
  timings.reduce<Timed | undefined>((best, t) => (best && best.microseconds <= t.microseconds ? best : t), undefined);

/** All comparisons that the checks allow; what was not timed is in none. */
export function ratiosOf(checks: readonly Check[]): readonly Ratio[] {
  const timings = timingsOf(checks, 'backToBack');
  const ours = timings.filter(({ by }) => by === US);
  const find = (work: string, precision: string, tokens: number): Timed | undefined =>
    ours.find((t) => t.work === work && t.precision === precision && t.tokens === tokens);
  const ratios: Ratio[] = [];
  for (const theirs of timings.filter(({ by }) => by === CUBLAS)) {
    const own = find(theirs.work, theirs.precision, theirs.tokens);
    const aim = theirs.precision === 'bf16' ? AIM_OF_CUBLAS : undefined;
    if (own) ratios.push(compared(`${theirs.work}: our speed, cuBLASLt's being 1`, own, theirs, { aim }));
  }
  for (const name of Object.values(namesOfTree)) {
    const trees = ours.filter(({ work }) => work === name);
    for (const tree of trees) {
      const best = fastest(timings.filter(({ work, tokens }) => work === nameOfDense && tokens === tree.tokens));
      const aim = tree.tokens === AIM_OF_TREE.tokens ? AIM_OF_TREE.times : undefined;
      if (best)
        ratios.push(compared(`${name}: speed, the fastest ${nameOfDense} being 1`, tree, best, { aim, chosen: true }));
    }
    const alone = trees.find(({ tokens }) => tokens === 1);
    if (alone) {
      const { precision, microseconds } = alone;
      const met = microseconds <= AIM_OF_TOKEN;
      ratios.push({ name: `${name}: one token`, precision, tokens: 1, microseconds, aim: AIM_OF_TOKEN, met });
    }
  }
  // With fewer tokens the two are the same.
  const many = Math.max(...tokenCounts);
  for (const own of ours.filter(({ work, tokens }) => work === namesOfLarge.sorted && tokens === many)) {
    const other = find(namesOfLarge.asTheyCome, own.precision, own.tokens);
    if (other) ratios.push(compared(`${own.work}: speed, walks as they come being 1`, own, other));
  }
  const [dense, tree] = encoders;
  for (const own of ours.filter(({ work }) => work === tree.name)) {
    const other = find(dense.name, own.precision, own.tokens);
    if (other) ratios.push(compared(`${tree.name}: speed, ${dense.name} being 1`, own, other));
  }
  const clocked = timingsOf(checks, 'byClock');
  for (const own of clocked.filter(({ by }) => by === OURS_ON_WEBGPU)) {
    const { work, tokens } = own;
    const best = fastest(clocked.filter((t) => t.by === ORT_ON_WEBGPU && t.work === work && t.tokens === tokens));
    const name = `${work} on WebGPU, by the clock: speed, the fastest onnxruntime-web being 1`;
    if (best) ratios.push(compared(name, own, best, { chosen: true }));
  }
  return ratios;
}
