/**
 * Runs in a process of its own, against the sources in one folder: `corpus FOLDER` prints the cases that folder knows,
 * `render FOLDER` reads cases from standard input and prints a rendering a line. It asks of those sources what they have had for
 * long: `compile`, the shape of a Target, the standard library.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as codegenModule from '@espalier/codegen';
import type * as irModule from '@espalier/ir';
import type { Case, RenderedKernel, Rendering } from './rendering.ts';

type Target = codegenModule.Target;

const [mode = '', folder = '', only = ''] = process.argv.slice(2);

const load = async (path: string): Promise<unknown> => import(pathToFileURL(join(folder, path)).href);
const print = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

interface OddLayer {
  readonly name: string;
  readonly text: string;
  readonly dims?: Readonly<Record<string, number>>;
}
interface StandardCase {
  readonly layer: string;
  readonly dims: Readonly<Record<string, number>>;
}

/** Widths of the suite's standard cases that are rendered: with whole tiles, and with tails. */
const SETS = 2;

/** What has forms that small layers have not: walks through a tree that no cache holds are sorted on lane machines. */
const LARGE: readonly Case[] = [
  {
    id: 'fff D=1024 O=1024 trees=1 depth=12',
    standard: 'fff',
    text: null,
    dims: { D: 1024, O: 1024, trees: 1, depth: 12 },
  },
];

async function corpus(): Promise<readonly Case[]> {
  const cases: Case[] = [];
  const suite = 'packages/conformance/src';
  if (existsSync(join(folder, suite, 'standard-cases.ts'))) {
    const { standardCases } = (await load(`${suite}/standard-cases.ts`)) as {
      standardCases(): readonly StandardCase[];
    };
    const seen = new Map<string, number>();
    for (const { layer, dims } of standardCases()) {
      const count = seen.get(layer) ?? 0;
      seen.set(layer, count + 1);
      if (count >= SETS) continue;
      const sizes = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
      const id = [layer, ...sizes].join(' ');
      if (!cases.some((one) => one.id === id)) cases.push({ id, standard: layer, text: null, dims });
    }
  }
  cases.push(...LARGE);
  if (existsSync(join(folder, suite, 'odd-layers.ts'))) {
    const { oddLayers } = (await load(`${suite}/odd-layers.ts`)) as { oddLayers: readonly OddLayer[] };
    for (const { name, text, dims } of oddLayers) cases.push({ id: name, standard: null, text, dims: dims ?? {} });
  }
  return cases;
}

const isTarget = (value: unknown): value is Target =>
  typeof value === 'object' && value !== null && 'print' in value && 'legalise' in value && 'defaults' in value;

/** The defaults, and each yes-or-no capability turned over. */
const variantsOf = (target: Target): readonly (readonly [string, Readonly<Record<string, boolean>>])[] => [
  ['', {}],
  ...Object.entries(target.defaults).flatMap(([name, value]) =>
    typeof value === 'boolean' ? [[`${name}=${!value}`, { [name]: !value }] as const] : [],
  ),
];

async function renderAll(cases: readonly Case[]): Promise<void> {
  const ir = (await load('packages/ir/src/index.ts')) as typeof irModule;
  const codegen = (await load('packages/codegen/src/index.ts')) as typeof codegenModule;
  const targets = Object.values(codegen).filter(isTarget);
  for (const one of cases) {
    let layer: irModule.LayerIR;
    try {
      layer = layerOf(one, ir);
    } catch {
      // The library of this folder lacks the layer, or its language lacks something: there is nothing to compare.
      continue;
    }
    for (const target of targets)
      for (const strategy of ['best', 'generic'] as const)
        for (const [variant, capabilities] of variantsOf(target)) {
          const { name, extension } = target;
          const about = { case: one.id, target: name, extension, strategy, variant };
          print({ ...about, ...(await render(layer, target, strategy, capabilities, codegen)) } satisfies Rendering);
        }
  }
}

const layerOf = (one: Case, ir: typeof irModule): irModule.LayerIR =>
  one.standard === null
    ? ir.layerFromText(one.text ?? '', { dims: one.dims, name: 'odd' })
    : ir.standardLayer(one.standard, { dims: one.dims });

async function render(
  layer: irModule.LayerIR,
  target: Target,
  strategy: 'best' | 'generic',
  capabilities: Readonly<Record<string, boolean>>,
  codegen: typeof codegenModule,
): Promise<Pick<Rendering, 'kernels' | 'manifest' | 'error'>> {
  const texts = new Map<string, string>();
  // The texts of single kernels are what a person compares; assembling them would only take time.
  const watched: Target = {
    ...target,
    assemble: null,
    print: (kernels, header, given) => {
      for (const kernel of kernels) texts.set(kernel.name, target.print([kernel], [], given));
      return target.print(kernels, header, given);
    },
  };
  try {
    const { manifest } = await codegen.compile(layer, { target: watched, strategy, capabilities });
    const { checksum: _, ...rest } = manifest;
    const kernels = manifest.launches.map((launch): RenderedKernel => {
      const at = launch.label.indexOf(': ');
      return {
        name: launch.kernel,
        strategy: launch.label.slice(0, Math.max(0, at)),
        statements: launch.label.slice(at < 0 ? 0 : at + 2),
        text: texts.get(launch.kernel) ?? '',
        flops: sizeText(launch.flops),
        grid: sizeText(launch.grid),
        scratch: sizeText(launch.scratch),
        when: launch.when === undefined ? '' : JSON.stringify(launch.when),
        workgroup: String(launch.workgroup ?? 1),
      };
    });
    return { kernels, manifest: manifestText(rest), error: null };
  } catch (problem) {
    return { kernels: [], manifest: '', error: problem instanceof Error ? problem.message : String(problem) };
  }
}

/** ["*", "T", 12] → "(T * 12)". */
const sizeText = (size: unknown): string =>
  Array.isArray(size) ? `(${sizeText(size[1])} ${size[0]} ${sizeText(size[2])})` : String(size);

/** JSON with a line for each binding, launch and fault: what differs is seen at a glance. */
function manifestText(manifest: object): string {
  const lines = Object.entries(manifest).flatMap(([name, value]) =>
    Array.isArray(value) && value.some((item) => typeof item === 'object')
      ? [`${name}:`, ...value.map((item) => `  ${JSON.stringify(item)}`)]
      : [`${name}: ${JSON.stringify(value)}`],
  );
  return `${lines.join('\n')}\n`;
}

const wanted = (one: Case): boolean => only === '' || one.id.split(' ')[0] === only || one.id === only;

if (mode === 'corpus') print((await corpus()).filter(wanted));
else await renderAll(JSON.parse(readFileSync(0, 'utf8')) as readonly Case[]);
