/**
 * Checks that JSON is a manifest or a graph, field by field, so that a runtime can trust the types. Each complaint names
 * the place: "bindings[2].storage is "f64", expected one of f32, f16, i32, i8".
 */
import { ArtefactError } from './errors.ts';
import { MANIFEST_VERSION, type Manifest, storageBytes } from './manifest.ts';

type Check = (value: unknown, at: string) => void;

const shown = (value: unknown): string => {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const refuse = (at: string, value: unknown, expected: string): never => {
  throw new ArtefactError(
    'A003',
    `${at || 'the value'} is ${shown(value)}, expected ${expected}; was it written by this compiler?`,
  );
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const text: Check = (value, at) => {
  if (typeof value !== 'string') refuse(at, value, 'text');
};

const plain: Check = (value, at) => {
  if (!['string', 'number', 'boolean'].includes(typeof value)) refuse(at, value, 'text, a number or a boolean');
};

/** An integer from `least` on. */
export const integer =
  (least: number): Check =>
  (value, at) => {
    if (!Number.isSafeInteger(value) || (value as number) < least) refuse(at, value, `an integer of at least ${least}`);
  };

/** One of some texts. */
export const oneOf =
  (...choices: readonly string[]): Check =>
  (value, at) => {
    if (!choices.includes(value as string)) refuse(at, value, `one of ${choices.join(', ')}`);
  };

/** A list whose every entry passes `check`. */
export const list =
  (check: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return void refuse(at, value, 'a list');
    value.forEach((entry, i) => {
      check(entry, `${at}[${i}]`);
    });
  };

/** An object used as a table: every value passes `check`. */
export const table =
  (check: Check): Check =>
  (value, at) => {
    if (!isRecord(value)) return void refuse(at, value, 'an object');
    for (const [key, entry] of Object.entries(value)) check(entry, `${at}.${key}`);
  };

/** An object with at least these fields. More fields are allowed: a newer compiler may add what an older runtime need not know. */
export const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    if (!isRecord(value)) return void refuse(at, value, 'an object');
    for (const [key, check] of Object.entries(checks)) check(value[key], at ? `${at}.${key}` : key);
  };

/** A size expression over any dims. */
export const size: Check = (value, at) => {
  if (typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string') return;
  if (!Array.isArray(value) || value.length !== 3)
    return void refuse(at, value, 'a size: an integer, a dim or [op, a, b]');
  oneOf('+', '-', '*', 'ceildiv', 'max', 'min')(value[0], `${at}[0]`);
  size(value[1], `${at}[1]`);
  size(value[2], `${at}[2]`);
};

const storage = oneOf(...Object.keys(storageBytes));

const layoutDim: Check = (value, at) => {
  fields({ part: oneOf('whole', 'outer', 'inner', 'pairs'), axis: integer(0) })(value, at);
  const dim = value as { readonly part: string; readonly block?: unknown };
  if (dim.part !== 'whole') integer(1)(dim.block, `${at}.block`);
  if (dim.part === 'pairs' && (dim.block as number) % 2 !== 0) refuse(`${at}.block`, dim.block, 'an even number');
};

const layout: Check = (value, at) => {
  list(layoutDim)(value, at);
  const outer = (value as readonly { readonly part: string }[]).slice(0, -1);
  if (outer.some((dim) => dim.part === 'pairs')) refuse(at, value, 'pairs as the last only');
};

const flag: Check = (value, at) => {
  if (value !== undefined && typeof value !== 'boolean') refuse(at, value, 'a boolean');
};

const manifestShape = fields({
  name: text,
  target: text,
  generator: text,
  dims: list(text),
  fixed: table(plain),
  bindings: list(
    fields({
      name: text,
      role: oneOf('input', 'weight', 'output', 'workspace'),
      storage,
      shape: list(size),
      layout,
      finite: flag,
    }),
  ),
  launches: list(
    fields({
      kernel: text,
      grid: size,
      bindings: list(text),
      dims: list(text),
      scratch: size,
      label: text,
      flops: size,
      bytes: size,
    }),
  ),
  faults: list(fields({ message: text, place: text })),
  requires: list(text),
  numerics: table(plain),
  checksum: text,
});

/** `value` as a manifest. Throws ArtefactError A002 (version) or A003 (shape, unknown names). */
export function checkManifest(value: unknown): Manifest {
  if (!isRecord(value)) return refuse('the manifest', value, 'an object');
  const { version } = value;
  if (version !== MANIFEST_VERSION)
    throw new ArtefactError(
      'A002',
      `this runtime reads manifests of version ${MANIFEST_VERSION}, this one has version ${shown(version)}; ` +
        'use compiler and runtime of one release',
    );
  manifestShape(value, '');
  const manifest = value as unknown as Manifest;
  const bindings = new Set(manifest.bindings.map((b) => b.name));
  const dims = new Set(manifest.dims);
  manifest.launches.forEach((launch, i) => {
    for (const name of launch.bindings)
      if (!bindings.has(name)) refuse(`launches[${i}].bindings`, name, `one of ${[...bindings].join(', ')}`);
    for (const name of launch.dims)
      if (!dims.has(name)) refuse(`launches[${i}].dims`, name, `one of ${[...dims].join(', ') || '(no dims)'}`);
  });
  return manifest;
}

/** The JSON value of `json`. Throws ArtefactError A001 with the parser's message. */
export function parseJson(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new ArtefactError(
      'A001',
      `${what} is not JSON (${(cause as Error).message}); write it again with the compiler`,
      { cause },
    );
  }
}
