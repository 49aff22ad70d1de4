/** `espalier explain`: how a layer becomes code, stage by stage. */
import { stageNames, type Target } from '@espalier/codegen';
import type { LayerIR } from '@espalier/ir';
import { UsageError } from '../errors.ts';
import { askedTargets, type CodeFlags, watchOptions } from '../flags.ts';
import { type FoundLayer, layerToCompile } from '../layer-source.ts';
import { conditionText, sizeText } from '../sizes.ts';
import { suggestion } from '../suggestion.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';
import { changedLines, unifiedDiff } from '../terminal/diff.ts';
import { highlight } from '../terminal/highlight.ts';
import { statusOn } from '../terminal/status.ts';
import { heading, type Style, styleFor, wantsColour, wrap } from '../terminal/style.ts';
import { type Compiled, type KernelStory, type Stage, watch } from '../watch.ts';

export interface ExplainFlags extends CodeFlags {
  readonly after?: string;
  readonly diff?: string;
  readonly all?: boolean;
  readonly kernel?: string;
  readonly schedules?: boolean;
}

interface Page {
  readonly style: Style;
  readonly columns: number;
}

/** Compiles and shows. Throws UsageError U007 for a pass or kernel that isn't there. */
export async function explainCommand(given: string, flags: ExplainFlags, around: Surroundings): Promise<ExitCode> {
  const status = statusOn(around.error);
  const page: Page = {
    style: styleFor(wantsColour(around.out, around.environment)),
    columns: around.out.columns ?? 80,
  };
  try {
    const asked = await askedTargets(flags, around);
    for (const { target } of asked) for (const pass of [flags.after, flags.diff]) checkPass(pass, target);
    const { found, layer } = await layerToCompile(given, flags, around.cwd);
    for (const one of asked) {
      const compiled = await watch(layer, one.target, await watchOptions(flags, one, around.cwd, status.show));
      status.end();
      const kernels = chosen(compiled, flags.kernel, layer.name);
      around.out.write(show({ found, layer, compiled, kernels }, flags, page));
    }
    return 0;
  } finally {
    status.end();
  }
}

function checkPass(pass: string | undefined, target: Target): void {
  const passes = stageNames(target);
  if (pass === undefined || passes.includes(pass)) return;
  throw new UsageError('U007', `${target.name} has no pass ${pass}`, `${suggestion(pass, passes, 'Its passes')}`);
}

function chosen({ kernels }: Compiled, wanted: string | undefined, layer: string): readonly KernelStory[] {
  if (wanted === undefined) return kernels;
  const found = kernels.filter(({ name }) => name === wanted || name.startsWith(`${wanted}_`));
  if (found.length > 0) return found;
  const names = kernels.map(({ name }) => name);
  throw new UsageError('U007', `${layer} has no kernel ${wanted}`, `Its kernels: ${names.join(', ')}.`);
}

interface Subject {
  readonly found: FoundLayer;
  readonly layer: LayerIR;
  readonly compiled: Compiled;
  readonly kernels: readonly KernelStory[];
}

function show(subject: Subject, flags: ExplainFlags, page: Page): string {
  const { compiled, kernels } = subject;
  if (flags.schedules === true)
    return `${JSON.stringify(Object.fromEntries(kernels.map(({ name, schedule }) => [name, schedule])), null, 2)}\n`;
  const { after, diff } = flags;
  if (after !== undefined || diff !== undefined)
    return kernels
      .flatMap((kernel) => [
        after === undefined ? '' : showStage(kernel, after, page),
        diff === undefined ? '' : showDiff(kernel, diff, page),
      ])
      .join('');
  const stages = kernels.map((kernel) =>
    flags.all === true ? showAll(kernel, page) : showStage(kernel, kernel.stages[0]?.pass ?? '', page),
  );
  return [
    showLayer(subject, page),
    showUnits(subject, page),
    ...stages,
    showText(compiled, kernels, flags.kernel, page),
  ].join('\n');
}

function showLayer({ found, layer }: Subject, { style, columns }: Page): string {
  const fixed = Object.entries(layer.fixed).map(([name, value]) => `${name} = ${value}`);
  const facts = [
    fixed.length === 0 ? '' : `fixed: ${fixed.join(', ')}`,
    `open until it runs: ${layer.dims.join(', ') || 'nothing'}`,
  ];
  const text = highlight(found.text.trimEnd(), 'layer', style);
  return `${heading(`${layer.name}, ${found.place}`, style, columns)}${text}\n${facts
    .filter((fact) => fact !== '')
    .map((fact) => `${style.dim(fact)}\n`)
    .join('')}`;
}

function showUnits({ compiled, kernels }: Subject, { style, columns }: Page): string {
  const { manifest } = compiled.artefact;
  const count = manifest.launches.length;
  const rows = kernels.flatMap((kernel) => {
    const launch = manifest.launches.find((one) => one.kernel === kernel.name);
    const grid = `${sizeText(launch?.grid ?? 0)} ${launch?.workgroup === undefined ? 'steps' : `workgroups of ${launch.workgroup}`}`;
    const head = `  ${style.accent(kernel.name)}  ${style.bold(kernel.strategy)}${style.dim(conditionText(launch?.when))}`;
    const statements = wrap(kernel.statements, Math.min(columns, 100), '      ');
    const cost = `${sizeText(launch?.flops ?? 0)} flop, at least ${sizeText(launch?.bytes ?? 0)} bytes; grid of ${grid}`;
    const scratch = launch?.scratch === 0 || launch === undefined ? '' : `; scratch ${sizeText(launch.scratch)} bytes`;
    return [
      head,
      ...statements,
      `      ${style.dim(cost + scratch)}`,
      ...kernel.schedule.map((step) => `      ${style.dim(JSON.stringify(step))}`),
    ];
  });
  return `${heading(`${count} kernel${count === 1 ? '' : 's'} for ${manifest.target}`, style, columns)}${rows.join('\n')}\n`;
}

const stageOf = (kernel: KernelStory, pass: string): Stage | undefined =>
  kernel.stages.find((stage) => stage.pass === pass);

function showStage(kernel: KernelStory, pass: string, { style, columns }: Page): string {
  const text = stageOf(kernel, pass)?.text;
  if (text === undefined) return notRun(kernel, pass, style);
  return `${heading(`${kernel.name} after ${pass}`, style, columns)}${highlight(text, 'kernel', style)}`;
}

/** A pass of the target that this kernel's pipeline, for these capabilities, hasn't got. */
const notRun = (kernel: KernelStory, pass: string, style: Style): string =>
  `${style.warn(`${kernel.name} does not go through ${pass}`)}\n`;

function showDiff(kernel: KernelStory, pass: string, { style, columns }: Page): string {
  const at = kernel.stages.findIndex((stage) => stage.pass === pass);
  const [before, after] = [kernel.stages[at - 1], kernel.stages[at]];
  if (after === undefined) return notRun(kernel, pass, style);
  if (before === undefined)
    return `${heading(`${kernel.name}: ${pass} comes first`, style, columns)}${highlight(after.text, 'kernel', style)}`;
  const { removed, added } = changedLines(before.text, after.text);
  const head = heading(`${kernel.name}: ${before.pass} → ${pass}, −${removed} +${added} lines`, style, columns);
  return `${head}${unifiedDiff(before.text, after.text, style) || `${style.dim('nothing changes')}\n`}`;
}

/** Every stage, those that change nothing in a line. */
function showAll(kernel: KernelStory, page: Page): string {
  return kernel.stages
    .map((stage, i) =>
      stage.text === kernel.stages[i - 1]?.text
        ? `${page.style.dim(`── ${kernel.name} after ${stage.pass}: nothing changes`)}\n`
        : showStage(kernel, stage.pass, page),
    )
    .join('\n');
}

function showText(
  { artefact, target }: Compiled,
  kernels: readonly KernelStory[],
  only: string | undefined,
  { style, columns }: Page,
): string {
  const text = only === undefined ? artefact.source : kernels.map(({ source }) => source).join('\n');
  const lines = text.trimEnd().split('\n').length;
  const what = only === undefined ? artefact.manifest.name : only;
  return `${heading(`${what} in ${target.extension}, ${lines} lines`, style, columns)}${highlight(text, target.extension, style)}`;
}
