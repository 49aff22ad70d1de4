/** Where the private arrays of a grid step live once a subgroup shares the step. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import { mentions } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import { type Expr, elementBytes, type Kernel, type KernelBuffer, type Stmt } from '../kernel-ir/types.ts';
import { expressionsOf, mapExpressions, mapStatements, visitExpr, visitStatements } from '../kernel-ir/walk.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/**
 * `each`: every lane has all of it. `split`: runs of `run` elements along axis `axis` are dealt out to the lanes, run r to lane r mod
 * lanes, in registers. `shared`: one copy for the subgroup. Global memory that the step itself reads back is `shared`; other global memory `written`.
 */
export type Home =
  | { readonly kind: 'each' }
  | { readonly kind: 'split'; readonly axis: number; readonly run: number }
  | { readonly kind: 'shared' }
  | { readonly kind: 'written' };

export interface Homes {
  kind(buffer: string): Home['kind'];
  readonly of: ReadonlyMap<string, Home>;
  /** Whether a statement stores to what several lanes read. */
  writesShared(s: Stmt): boolean;
}

interface Use {
  readonly buffer: string;
  readonly indices: readonly Expr[];
  readonly stores: boolean;
  /** The dealt loop it stands in. */
  readonly lane: For | null;
}

export function homesOf(
  kernel: Kernel,
  body: readonly Stmt[],
  dealt: ReadonlySet<For>,
  options: { readonly lanes: number; readonly sharePicked: boolean },
): Homes {
  const uses = usesOf(body, dealt);
  const homes = new Map<string, Home>();
  for (const b of kernel.buffers) {
    const mine = uses.filter((u) => u.buffer === b.name);
    if (b.space === 'global') {
      if (b.access !== 'read') homes.set(b.name, { kind: mine.some((u) => !u.stores) ? 'shared' : 'written' });
    } else if (b.space === 'private') homes.set(b.name, homeOf(b, mine, options));
  }
  const kind = (name: string): Home['kind'] => homes.get(name)?.kind ?? 'written';
  const writesShared = (s: Stmt): boolean => {
    let writes = false;
    visitStatements([s], (x) => {
      if (x.kind === 'store' && kind(x.buffer) === 'shared') writes = true;
    });
    return writes;
  };
  return { kind, of: homes, writesShared };
}

function homeOf(
  b: KernelBuffer,
  uses: readonly Use[],
  { lanes, sharePicked }: { readonly lanes: number; readonly sharePicked: boolean },
): Home {
  // Written by all lanes alike: each keeps it, unless a lane reads where its own number says, which registers can't do.
  if (uses.every((u) => !u.stores || u.lane === null))
    return { kind: sharePicked && uses.some(isPick) ? 'shared' : 'each' };
  const run = uses.find((u) => u.lane !== null)?.lane?.step ?? 1;
  for (let axis = 0; axis < b.shape.length; axis++) {
    if (Sizes.constantOf(b.shape[axis] ?? Sizes.constant(0)) === null) continue;
    const own = uses.every((u) => {
      const at = u.indices[axis];
      return (
        u.lane !== null &&
        u.lane.step === run &&
        u.lane.from.kind === 'literal' &&
        u.lane.from.value % (lanes * run) === 0 &&
        at?.kind === 'ref' &&
        at.name === u.lane.index
      );
    });
    if (own) return { kind: 'split', axis, run };
  }
  return { kind: 'shared' };
}

/** Whether which element is used depends on the lane. */
const isPick = ({ lane, indices }: Use): boolean =>
  lane !== null && indices.some((i) => mentions(i, new Set([lane.index])));

function usesOf(body: readonly Stmt[], dealt: ReadonlySet<For>): readonly Use[] {
  const uses: Use[] = [];
  const walk = (block: readonly Stmt[], lane: For | null): void => {
    for (const s of block) {
      if (s.kind === 'store') uses.push({ buffer: s.buffer, indices: s.indices, stores: true, lane });
      // A loop's bounds are evaluated by all lanes alike, before it is dealt out.
      for (const e of expressionsOf(s)) {
        visitExpr(e, (x) => {
          if (x.kind === 'load') uses.push({ buffer: x.buffer, indices: x.indices, stores: false, lane });
        });
      }
      if (s.kind === 'for') walk(s.body, dealt.has(s) ? s : lane);
      if (s.kind === 'if') {
        walk(s.then, lane);
        walk(s.otherwise, lane);
      }
    }
  };
  walk(body, null);
  return uses;
}

const subgroup: Expr = { kind: 'builtin', which: 'subgroup', type: k.scalar('i32') };

/** The kernel with its arrays where they belong. `kernel.body` is the step's. */
export function withHomes(
  kernel: Kernel,
  homes: Homes,
  options: { readonly lanes: number; readonly subgroups: number; readonly memory: number },
): Kernel {
  let memory = options.memory;
  const buffers = kernel.buffers.map((b): KernelBuffer => {
    const home = homes.of.get(b.name);
    if (b.space !== 'private' || home === undefined || home.kind === 'each' || home.kind === 'written') return b;
    if (home.kind === 'split') {
      const shape = b.shape.map((size, axis) =>
        axis === home.axis
          ? Sizes.constant(Math.ceil((Sizes.constantOf(size) ?? 0) / (options.lanes * home.run)) * home.run)
          : size,
      );
      return { ...b, shape };
    }
    const shape = options.subgroups === 1 ? b.shape : [Sizes.constant(options.subgroups), ...b.shape];
    const elements = Sizes.constantOf(Sizes.product(shape));
    const bytes = elements === null ? Number.POSITIVE_INFINITY : elements * elementBytes[b.storage];
    const fits = bytes <= memory;
    if (fits) memory -= bytes;
    return { ...b, space: fits ? 'workgroup' : 'scratch', shape, layout: rowMajor(shape.length) };
  });
  const place = (name: string, indices: readonly Expr[]): readonly Expr[] => {
    const home = homes.of.get(name);
    if (home?.kind === 'split')
      return indices.map((i, axis) =>
        axis === home.axis ? k.mul(k.op('floordiv', i, k.i32(options.lanes * home.run)), k.i32(home.run)) : i,
      );
    const isShared = home?.kind === 'shared' && kernel.buffers.some((b) => b.name === name && b.space === 'private');
    return isShared && options.subgroups > 1 ? [subgroup, ...indices] : indices;
  };
  const loads = mapExpressions(kernel.body, (e) =>
    e.kind === 'load' ? { ...e, indices: place(e.buffer, e.indices) } : e,
  );
  const body = mapStatements(loads, (s) => (s.kind === 'store' ? { ...s, indices: place(s.buffer, s.indices) } : s));
  return { ...kernel, buffers, body };
}
