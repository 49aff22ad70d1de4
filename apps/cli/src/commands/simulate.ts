/** `espalier simulate`: a layer's kernels run lane by lane on this machine, watched, and judged by the interpreter. */
import { type Manifest, runsAt } from '@espalier/artefact';
import { compile, type Finding, formatFinding } from '@espalier/codegen';
import type { LayerIR } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { assignments, sizeOf } from '../assignments.ts';
import { UsageError } from '../errors.ts';
import { type AskedTarget, askedTargets, type CodeFlags, watchOptions } from '../flags.ts';
import { type Judgement, judge } from '../judge.ts';
import { bindLayer, dimsFrom, findLayer } from '../layer-source.ts';
import { type Numbers, randomTensors } from '../random.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';
import { statusOn } from '../terminal/status.ts';
import { type Style, styleFor, table, wantsColour } from '../terminal/style.ts';
import { splitLabel } from '../watch.ts';

export interface SimulateFlags extends CodeFlags {
  readonly seed: string;
  readonly integers?: readonly string[];
  readonly json?: boolean;
}

type Dims = Readonly<Record<string, number>>;

interface Simulated {
  readonly target: string;
  readonly manifest: Manifest;
  readonly findings: readonly Finding[];
  /** How often something was wrong. */
  readonly total: number;
  readonly outputs: readonly Judgement[];
}

/** Runs and reports; 1 where something was found or an output is wrong. */
export async function simulateCommand(given: string, flags: SimulateFlags, around: Surroundings): Promise<ExitCode> {
  const status = statusOn(around.error);
  try {
    const asked = await askedTargets(flags, around);
    const found = await findLayer(given, flags.layer, around.cwd);
    const { dims: all, fixed } = found.parameters;
    const dims = dimsFrom(flags, found.parameters, all, 'a run has a size for every dim');
    const pick = (wanted: boolean): Dims =>
      Object.fromEntries(Object.entries(dims).filter(([name]) => fixed.includes(name) === wanted));
    const layer = bindLayer(found, flags, pick(true));
    const integers = integersFrom(flags, layer);
    const tensors = randomTensors(layer, pick(false), seedOf(flags.seed), integers);
    const results: Simulated[] = [];
    for (const one of asked)
      results.push(await simulateOn(one, layer, pick(false), tensors, flags, around.cwd, status.show));
    status.end();
    const style = styleFor(wantsColour(around.out, around.environment));
    const sizes = Object.entries(dims).map(([name, value]) => `${name} = ${value}`);
    around.out.write(
      flags.json === true
        ? `${JSON.stringify({ layer: layer.name, dims, seed: Number(flags.seed), targets: results.map(reportOf) }, null, 2)}\n`
        : results
            .map((one) => textOf(one, `${layer.name}(${sizes.join(', ')}), seed ${flags.seed}`, pick(false), style))
            .join('\n'),
    );
    return results.every(isRight) ? 0 : 1;
  } finally {
    status.end();
  }
}

const isRight = ({ findings, outputs }: Simulated): boolean =>
  findings.length === 0 && outputs.every(({ wrong }) => wrong === null);

function seedOf(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new UsageError('U005', `--seed ${text} is no whole number`, 'E.g. --seed 7.');
}

function integersFrom(flags: SimulateFlags, layer: LayerIR): ReadonlyMap<string, number> {
  const written = assignments(flags.integers ?? [], '--integers');
  const known = layer.tensors.filter((t) => t.storage === 'i32' && (t.role === 'input' || t.role === 'weight'));
  for (const name of written.keys())
    if (!known.some((tensor) => tensor.name === name))
      throw new UsageError(
        'U005',
        `${layer.name} has no integers called ${name}`,
        `Inputs and weights of integers: ${known.map((tensor) => tensor.name).join(', ') || 'none'}.`,
      );
  return new Map([...written].map(([name, text]) => [name, sizeOf(name, text)]));
}

async function simulateOn(
  one: AskedTarget,
  layer: LayerIR,
  dims: Dims,
  tensors: Readonly<Record<string, Numbers>>,
  flags: SimulateFlags,
  cwd: string,
  show: (text: string) => void,
): Promise<Simulated> {
  const { progress: _, ...options } = await watchOptions(flags, one, cwd, show);
  show(`compiling ${layer.name} for ${one.target.name}`);
  const artefact = await compile(layer, { target: simulatorTarget(one.target), verify: 'each', ...options });
  const ofRole = (role: string): Readonly<Record<string, Numbers>> =>
    Object.fromEntries(
      Object.entries(tensors).filter(([name]) => layer.tensors.some((t) => t.name === name && t.role === role)),
    );
  show(`running ${layer.name}`);
  using device = await openSimulator({ findings: 'collect' });
  using loaded = await loadLayer(device, artefact, ofRole('weight'));
  const outputs = await loaded.run(ofRole('input'), { dims });
  return {
    target: one.target.name,
    manifest: artefact.manifest,
    findings: device.findings,
    total: device.total,
    outputs: judge(layer, dims, tensors, outputs),
  };
}

const reportOf = ({ target, findings, total, outputs }: Simulated): unknown => ({ target, findings, total, outputs });

function textOf(
  { target, manifest, findings, total, outputs }: Simulated,
  what: string,
  dims: Dims,
  style: Style,
): string {
  const kernels = manifest.launches.map((launch) => {
    const { strategy, statements } = splitLabel(launch.label);
    const ran = runsAt(launch, dims);
    return [
      { text: launch.kernel, paint: style.accent },
      { text: ran ? strategy : `${strategy} (not at this size)` },
      { text: statements, paint: style.dim },
    ];
  });
  const judged = outputs.map(({ output, elements, error, allowed, wrong }) => [
    wrong === null ? { text: '✓', paint: style.good } : { text: '✗', paint: style.bad },
    { text: output },
    { text: `${elements} elements` },
    {
      text: wrong === null ? `off by ${short(error)} at most, ${short(allowed)} is allowed` : wrongText(wrong, allowed),
    },
  ]);
  const times = total > findings.length ? `, met ${total} times` : '';
  const verdict =
    findings.length === 0
      ? style.good('No race, no unwritten memory, no access out of bounds.')
      : style.bad(`${findings.length} finding${findings.length === 1 ? '' : 's'}${times}:`);
  return `${[
    `${style.bold(what)} for ${style.bold(target)}, simulated`,
    ...table(kernels, 100),
    verdict,
    ...findings.map((finding) => indented(formatFinding(finding).replace(/^[^:]*/, style.warn))),
    ...table(judged),
  ].join('\n')}\n`;
}

const indented = (text: string): string => text.replace(/^/gm, '  ');

const short = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

const wrongText = ({ index, actual, expected }: NonNullable<Judgement['wrong']>, allowed: number): string =>
  `element ${index} is ${actual}, the interpreter says ${expected} (${short(allowed)} is allowed)`;
