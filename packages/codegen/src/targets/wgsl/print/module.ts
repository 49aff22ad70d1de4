/**
 * The module of a layer's kernels: one entry point each, with its bindings in the order that runtimes bind them (buffers,
 * scratch, status word, sizes), and the helper functions they call.
 */
import { physicalLength } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../../../kernel-ir/types.ts';
import { visitExpressions, visitStatements } from '../../../kernel-ir/walk.ts';
import type { Capabilities } from '../../../target.ts';
import { visiblyUniform } from '../legalise/lanes.ts';
import { isPacked, wideBuffers } from '../legalise/memory.ts';
import { Helpers, HelperTexts } from './helpers.ts';
import { INFINITY, NAN } from './literals.ts';
import { Words } from './names.ts';
import { oneLine, printBlock, type StatementContext } from './statements.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** Names at module level that belong to one kernel. */
interface Outer {
  readonly entry: string;
  readonly buffers: ReadonlyMap<string, string>;
  readonly sizes: string;
  readonly sizesType: string;
  readonly status: string;
}

/** The WGSL text of a module. */
export function printModule(kernels: readonly Kernel[], header: readonly string[], capabilities: Capabilities): string {
  const words = new Words();
  // What kernels print may not hide, so all names of the module are given out first.
  const outer = kernels.map((kernel) => outerNames(kernel, words));
  const helpers = new HelperTexts(words, capabilities['subgroups'] === true);
  const texts = kernels.map((kernel, i) => printKernel(kernel, outer[i] as Outer, helpers, capabilities, words));
  const enables = [
    ...(texts.some((t) => t.half) ? ['enable f16;'] : []),
    ...(helpers.usesSubgroups ? ['enable subgroups;'] : []),
  ];
  return [
    header.map((line) => `// ${oneLine(line)}`).join('\n'),
    enables.join('\n'),
    ...helpers.texts,
    ...texts.map((t) => t.lines.join('\n')),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
}

function outerNames(kernel: Kernel, words: Words): Outer {
  const entry = words.fresh(kernel.name);
  const shared = kernel.buffers.filter((b) => b.space !== 'private');
  return {
    entry,
    buffers: new Map(shared.map((b) => [b.name, words.fresh(`${entry}_${b.name}`)])),
    sizes: words.fresh(`${entry}_sizes`),
    sizesType: words.fresh(`${entry}_Sizes`),
    status: words.fresh(`${entry}_status`),
  };
}

interface KernelText {
  readonly lines: readonly string[];
  /** Whether it declares memory of f16. */
  readonly half: boolean;
}

function printKernel(
  kernel: Kernel,
  outer: Outer,
  texts: HelperTexts,
  capabilities: Capabilities,
  words: Words,
): KernelText {
  const { workgroup } = kernel;
  if (workgroup === undefined) throw new Error(`${kernel.name} has no workgroup`);
  const lanes = workgroup.subgroups * workgroup.lanes;
  const wide = wideBuffers(kernel);
  const half = (b: KernelBuffer): boolean =>
    b.storage === 'f16' && b.space !== 'private' && capabilities['f16'] === true;
  // Helper functions are named while the body is printed; these come first so that no local hides one.
  const locals = new Words(words);
  const [lane, together, thread, group, groups] = ['lane', 'together', 'thread', 'workgroup', 'workgroups'].map((n) =>
    locals.fresh(n),
  ) as [string, string, string, string, string];
  for (const name of [INFINITY, NAN]) locals.fresh(name);
  const helpers = new Helpers(texts, lanes, lane, together);
  const names = localNames(kernel, locals);
  const name = (n: string): string => outer.buffers.get(n) ?? names.get(n) ?? missing(n, kernel);
  const sharesStorage = kernel.buffers.some(
    (b) => b.space === 'scratch' || (b.space === 'global' && b.access === 'read_write'),
  );
  const context: StatementContext = {
    kernel: kernel.name,
    buffers: new Map(kernel.buffers.map((b) => [b.name, b])),
    name,
    packed: (b) => isPacked(b, capabilities),
    wide: (b) => wide.has(b),
    half,
    helpers,
    visible: visiblyUniform(kernel),
    status: outer.status,
    barrier: sharesStorage ? ['storageBarrier', 'workgroupBarrier'] : ['workgroupBarrier'],
  };
  const { before, loop } = outermost(kernel);
  const body = printBlock([...before, ...loop.body], '  ', context);
  const index = name(loop.index);
  const dims = usedDims(kernel);
  if (helpers.has(together)) helpers.lane();
  const declared = bindings(kernel, outer, wide, capabilities, half);
  const first = [
    ...(helpers.has(lane) ? [`let ${lane} = i32(${thread});`] : []),
    `let ${index} = i32(${group}.y * ${groups}.x + ${group}.x);`,
    `if (${index} >= ${outer.sizes}.${gridField(kernel)}) {`,
    '  return;',
    '}',
    ...dims.map((d) => `let ${name(d)} = ${outer.sizes}.${fields(kernel).get(d) ?? d};`),
    ...runtimeConstants(helpers, `${outer.sizes}.${gridField(kernel)}`),
    ...(helpers.has(together) ? [togetherLine(texts, lanes, lane, together)] : []),
    ...kernel.buffers
      .filter((b) => b.space === 'private')
      .map((b) => `var ${name(b.name)}: ${arrayType(b, wide, capabilities, half)};`),
  ];
  return {
    half: kernel.buffers.some(half),
    lines: [
      `// ${oneLine(`${kernel.name}: ${kernel.label}`)}`,
      ...declared,
      '',
      `@compute @workgroup_size(${lanes})`,
      `fn ${outer.entry}(`,
      `  @builtin(workgroup_id) ${group}: vec3u,`,
      `  @builtin(num_workgroups) ${groups}: vec3u,`,
      ...(helpers.has(lane) ? [`  @builtin(local_invocation_index) ${thread}: u32,`] : []),
      ') {',
      ...first.map((line) => `  ${line}`),
      ...body,
      '}',
    ],
  };
}

function missing(name: string, kernel: Kernel): never {
  throw new Error(`${kernel.name} has no name for ${name}`);
}

function togetherLine(texts: HelperTexts, lanes: number, lane: string, together: string): string {
  const [told, value] = texts.together(lanes);
  return `let ${together} = ${told}(${lane}, ${value}, 0);`;
}

/** Of bits that only the run knows: the grid is never negative, so the minimum is 0. */
function runtimeConstants(helpers: Helpers, grid: string): readonly string[] {
  const made = (name: typeof INFINITY | typeof NAN, bits: string): readonly string[] =>
    helpers.has(name) ? [`let ${name} = bitcast<f32>(${bits} | min(${grid}, 0));`] : [];
  return [...made(INFINITY, '0x7f800000'), ...made(NAN, '0x7fc00000')];
}

/** Names of lets, variables, indices, dims and private arrays. */
function localNames(kernel: Kernel, locals: Words): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const add = (name: string): void => {
    if (!names.has(name)) names.set(name, locals.fresh(name));
  };
  kernel.dims.forEach(add);
  for (const b of kernel.buffers) if (b.space === 'private') add(b.name);
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'for') add(s.index);
    else if (s.kind === 'let' || s.kind === 'var') add(s.name);
  });
  return names;
}

/** The loop over workgroups, and the statements before it. */
function outermost(kernel: Kernel): { readonly before: readonly Stmt[]; readonly loop: For } {
  const at = kernel.body.findIndex((s) => s.kind === 'for' && s.binding === 'workgroup');
  const loop = kernel.body[at];
  if (loop?.kind !== 'for' || at !== kernel.body.length - 1)
    throw new Error(`${kernel.name} does not end with its loop over workgroups`);
  return { before: kernel.body.slice(0, at), loop };
}

function usedDims(kernel: Kernel): readonly string[] {
  const { before, loop } = outermost(kernel);
  const used = new Set<string>();
  visitExpressions([...before, ...loop.body], (e: Expr) => {
    if (e.kind === 'dim') used.add(e.name);
  });
  return kernel.dims.filter((d) => used.has(d));
}

/** Members of the sizes: the dims in order, then the number of workgroups. */
function fields(kernel: Kernel): ReadonlyMap<string, string> {
  const words = new Words();
  return new Map([...kernel.dims.map((d) => [d, words.fresh(d)] as const), [GRID, words.fresh('grid')]]);
}

/** A key no dim can have. */
const GRID = 'number of workgroups';
const gridField = (kernel: Kernel): string => fields(kernel).get(GRID) ?? 'grid';

function arrayType(
  b: KernelBuffer,
  wide: ReadonlySet<string>,
  capabilities: Capabilities,
  half: (b: KernelBuffer) => boolean,
): string {
  const four = wide.has(b.name) && !isPacked(b, capabilities);
  const element = elementType(b, four, capabilities, half);
  if (b.space === 'global' || b.space === 'scratch') return `array<${element}>`;
  const shape = b.shape.map((size) => Sizes.constantOf(size) ?? 0);
  // No array may be of length 0.
  const length = Math.max(1, Math.ceil(physicalLength(b.layout, shape) / (four ? 4 : 1)));
  return `array<${element}, ${length}>`;
}

function elementType(
  b: KernelBuffer,
  four: boolean,
  capabilities: Capabilities,
  half: (b: KernelBuffer) => boolean,
): string {
  if (isPacked(b, capabilities)) return b.storage === 'f16' ? 'u32' : 'i32';
  if (half(b)) return four ? 'vec4h' : 'f16';
  const real = b.storage === 'f32' || b.storage === 'f16';
  return four ? (real ? 'vec4f' : 'vec4i') : real ? 'f32' : 'i32';
}

function bindings(
  kernel: Kernel,
  outer: Outer,
  wide: ReadonlySet<string>,
  capabilities: Capabilities,
  half: (b: KernelBuffer) => boolean,
): readonly string[] {
  const type = (b: KernelBuffer): string => arrayType(b, wide, capabilities, half);
  const named = (b: KernelBuffer): string => outer.buffers.get(b.name) ?? missing(b.name, kernel);
  const storage = [
    ...kernel.buffers.filter((b) => b.space === 'global'),
    ...kernel.buffers.filter((b) => b.space === 'scratch'),
  ].map((b) => `var<storage, ${b.access === 'read' ? 'read' : 'read_write'}> ${named(b)}: ${type(b)};`);
  if (kernel.faults.length > 0) storage.push(`var<storage, read_write> ${outer.status}: array<atomic<i32>, 1>;`);
  const members = [...fields(kernel).values()].map((f) => `  ${f}: i32,`);
  return [
    `struct ${outer.sizesType} {`,
    ...members,
    '}',
    ...[...storage, `var<uniform> ${outer.sizes}: ${outer.sizesType};`].map(
      (text, i) => `@group(0) @binding(${i}) ${text}`,
    ),
    ...kernel.buffers.filter((b) => b.space === 'workgroup').map((b) => `var<workgroup> ${named(b)}: ${type(b)};`),
  ];
}
