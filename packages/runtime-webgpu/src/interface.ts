/**
 * What each kernel's source declares of its bindings. WebGPU wants layouts made before pipelines, and they must say whether
 * a buffer is written, which a manifest does not: so the declarations are read from the module's text. They are the form that
 * the WGSL target prints: `@group(0) @binding(1) var<storage, read> k0_x : array<f32>;`, each variable named after its kernel.
 */
import { type Artefact, ArtefactError, type Launch, type Manifest } from '@espalier/artefact';

/** How a binding is declared. */
export type BindingKind = 'read' | 'read_write' | 'uniform';

/** What a kernel declares: its bindings by number, and the bytes of its workgroup memory. */
export interface KernelInterface {
  readonly bindings: readonly BindingKind[];
  readonly workgroupBytes: number;
}

/** Buffers a launch binds one by one: those of its bindings that are not joined. */
export const boundAlone = (launch: Launch): readonly string[] =>
  launch.bindings.filter((name) => launch.joined?.includes(name) !== true);

/** Bindings a launch takes: its buffers, the joined ones as one, scratch and status word where it has them, sizes last. */
export const bindingNames = (launch: Launch): readonly string[] => [
  ...boundAlone(launch),
  ...(launch.joined === undefined ? [] : ['(joined)']),
  ...(hasScratch(launch) ? ['(scratch)'] : []),
  ...(launch.checks === true ? ['(status)'] : []),
  '(sizes)',
];

/** Whether the kernel takes a scratch buffer, though it may be an empty one for some dims. */
export const hasScratch = (launch: Launch): boolean => launch.scratch !== 0;

const declaration =
  /@group\(\s*0\s*\)\s*@binding\(\s*(\d+)\s*\)\s*var\s*<\s*(uniform|storage)\s*(?:,\s*(read_write|read)\s*)?>\s*(\w+)/g;
const workgroupVariable = /var\s*<\s*workgroup\s*>\s*(\w+)\s*:\s*([^;]+);/g;

/** The interfaces of all kernels of an artefact, by name. Throws ArtefactError A010 where source and manifest disagree. */
export function interfacesOf({ source, manifest }: Artefact): ReadonlyMap<string, KernelInterface> {
  const text = source.replace(/\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '');
  const declared = [...text.matchAll(declaration)].map(([, binding, space, access, name]) => ({
    binding: Number(binding),
    kind: (space === 'uniform' ? 'uniform' : (access ?? 'read')) as BindingKind,
    name: name as string,
  }));
  const memory = [...text.matchAll(workgroupVariable)].map(([, name, type]) => ({
    name: name as string,
    bytes: bytesOfType(type as string),
  }));
  const bodies = functionsOf(text);
  const words = new Map(manifest.launches.map(({ kernel }) => [kernel, reachable(bodies, kernel)]));
  return new Map(
    manifest.launches.map((launch) => {
      const { kernel } = launch;
      const used = words.get(kernel) as ReadonlySet<string>;
      // "k0_few_x" is whose who uses it; what nobody uses is of kernel k0_few where there is one.
      const others = [...bodies.keys()].filter((other) => other.startsWith(`${kernel}_`));
      const isAnothers = (name: string): boolean =>
        [...words.values()].some((theirs) => theirs.has(name)) || others.some((other) => name.startsWith(`${other}_`));
      const own = (name: string): boolean => name.startsWith(`${kernel}_`) && (used.has(name) || !isAnothers(name));
      const bindings: BindingKind[] = [];
      for (const { binding, kind, name } of declared) if (own(name)) bindings[binding] = kind;
      checkInterface(manifest, launch, bindings);
      const workgroupBytes = memory.reduce((sum, { name, bytes }) => sum + (used.has(name) ? bytes : 0), 0);
      return [kernel, { bindings, workgroupBytes }];
    }),
  );
}

/** Words in the body of each function. */
function functionsOf(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const starts = [...text.matchAll(/\bfn\s+(\w+)/g)];
  return new Map(
    starts.map((start) => {
      const body = text.slice(start.index, endOfBody(text, start.index));
      return [start[1] as string, new Set(body.match(/\w+/g))];
    }),
  );
}

/** Where the braces that a function opens are closed: what is declared behind it is not its own. */
function endOfBody(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at + 1;
  }
  return text.length;
}

/** All words that function `name` uses, by way of what it calls too. */
function reachable(bodies: ReadonlyMap<string, ReadonlySet<string>>, name: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [name];
  for (let word = open.pop(); word !== undefined; word = open.pop()) {
    if (seen.has(word)) continue;
    seen.add(word);
    open.push(...(bodies.get(word) ?? []));
  }
  return seen;
}

function checkInterface(manifest: Manifest, launch: Launch, found: readonly (BindingKind | undefined)[]): void {
  const wanted = bindingNames(launch);
  const wrong = wanted.findIndex((name, i) =>
    name === '(sizes)' ? found[i] !== 'uniform' : found[i] === undefined || found[i] === 'uniform',
  );
  if (wrong < 0 && found.length === wanted.length) return;
  const what =
    wrong < 0
      ? `declares ${found.length} bindings, the manifest has ${wanted.length}`
      : `declares ${found[wrong] ?? 'nothing'} at binding ${wrong}, where the manifest has ${wanted[wrong]}`;
  throw new ArtefactError(
    'A010',
    `${manifest.name}: the source of kernel ${launch.kernel} ${what}; compile the layer again with a compiler of this release`,
  );
}

const scalars: Readonly<Record<string, number>> = { f32: 4, i32: 4, u32: 4, f16: 2, bool: 4, f: 4, i: 4, u: 4, h: 2 };

/** Bytes of a type of workgroup memory, as declared; 0 for one that is not known. */
export function bytesOfType(type: string): number {
  const text = type.trim();
  const [, array, length] = /^array\s*<(.*),\s*(\d+)[iu]?\s*,?\s*>$/s.exec(text) ?? [];
  if (array !== undefined) return bytesOfType(array) * Number(length);
  const atomic = /^atomic\s*<(.*)>$/.exec(text)?.[1];
  if (atomic !== undefined) return bytesOfType(atomic);
  const [, lanes, letter, element] = /^vec([234])(?:([fiuh])|\s*<\s*(\w+)\s*>)$/.exec(text) ?? [];
  if (lanes !== undefined) return (scalars[letter ?? element ?? ''] ?? 0) * (lanes === '3' ? 4 : Number(lanes));
  return scalars[text] ?? 0;
}
