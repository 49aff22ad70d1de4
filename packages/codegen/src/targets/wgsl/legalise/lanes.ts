/**
 * Loops and branches of lanes, as a machine has them that runs one program per thread. Dealt-out loops become serial loops
 * with a stride. What surrounds a barrier (or a fold or shuffle, which have barriers inside) must be seen to be uniform
 * by the WGSL compiler, whose analysis knows less than ours: it takes results of folds and whatever was read from
 * writable memory for different in every thread. The verifier has shown that all lanes agree, so lane 0 tells the others.
 */
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt, Workgroup } from '../../../kernel-ir/types.ts';
import { blocksOf, children, expressionsOf, mapExpressions, Names, visitStatements } from '../../../kernel-ir/walk.ts';
import { WgslError } from '../errors.ts';

type For = Extract<Stmt, { kind: 'for' }>;

const lane: Expr = { kind: 'builtin', which: 'lane', type: k.scalar('i32') };

const isCollective = (e: Expr): boolean => e.kind === 'subgroup_fold' || e.kind === 'shuffle';

function holdsCollective(e: Expr): boolean {
  return isCollective(e) || children(e).some(holdsCollective);
}

/** Whether lanes do something together somewhere in these statements. */
export function meets(body: readonly Stmt[]): boolean {
  let found = false;
  visitStatements(body, (s) => {
    found ||= s.kind === 'barrier' || expressionsOf(s).some(holdsCollective);
  });
  return found;
}

/** Refuses what WGSL's workgroups can't do. */
export function checkShape(kernel: Kernel): Kernel {
  const { workgroup, name } = kernel;
  if (workgroup === undefined) {
    throw new WgslError('W001', name, 'its threads run alone; schedule it for lanes, at least by the step "spread"');
  }
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'mma' || s.kind === 'fragment')
      throw new WgslError('W003', name, 'WGSL has no matrix units; leave out the steps that use them');
    if (s.kind === 'for' && s.binding === 'grid')
      throw new WgslError('W001', name, 'its grid is not dealt out to workgroups; schedule it by the step "spread"');
  });
  const bySubgroup = (s: Stmt): boolean =>
    (s.kind === 'barrier' && s.scope === 'subgroup') || expressionsOf(s).some(holdsCollective);
  if (workgroup.subgroups !== 1) {
    visitStatements(kernel.body, (s) => {
      if (!bySubgroup(s)) return;
      const shape = `${workgroup.subgroups} subgroups of ${workgroup.lanes} lanes`;
      throw new WgslError(
        'W001',
        name,
        `its ${shape} work apart, and WGSL has no barrier for part of a workgroup; schedule it with subgroups: 1`,
      );
    });
  }
  return kernel;
}

/** The machine's indices, all from the one that WGSL has: of the lane within the workgroup. */
function indexOf(which: 'lane' | 'subgroup' | 'subgroup_lane', { subgroups, lanes }: Workgroup): Expr {
  if (which === 'lane') return lane;
  if (subgroups === 1) return which === 'subgroup' ? k.i32(0) : lane;
  return k.op(which === 'subgroup' ? 'floordiv' : 'mod', lane, k.i32(lanes));
}

/** Leaves one index of the machine's, `lane`. */
export function oneIndex(kernel: Kernel): Kernel {
  const { workgroup } = kernel;
  if (workgroup === undefined) return kernel;
  const body = mapExpressions(kernel.body, (e) => (e.kind === 'builtin' ? indexOf(e.which, workgroup) : e));
  return { ...kernel, body };
}

/** Loops over lanes and subgroups become serial ones. Those in which lanes meet go round together, the others each on its own. */
export function serialLoops(kernel: Kernel): Kernel {
  const { workgroup } = kernel;
  if (workgroup === undefined) return kernel;
  const names = new Names(kernel);
  const walk = (body: readonly Stmt[]): readonly Stmt[] =>
    body.map((s): Stmt => {
      if (s.kind === 'if') return { ...s, then: walk(s.then), otherwise: walk(s.otherwise) };
      if (s.kind !== 'for') return s;
      const loop: For = { ...s, body: walk(s.body) };
      if (s.binding !== 'lane' && s.binding !== 'subgroup') return loop;
      const isLane = s.binding === 'lane';
      const count = isLane ? workgroup.lanes : workgroup.subgroups;
      const own = indexOf(isLane ? 'subgroup_lane' : 'subgroup', workgroup);
      const start = k.mul(own, k.i32(s.step));
      if (count === 1) return { ...loop, binding: 'serial' };
      if (!meets(s.body)) return { ...loop, from: k.add(s.from, start), step: s.step * count, binding: 'serial' };
      const round = names.fresh(`${s.index}_round`);
      const body = [k.letStmt(s.index, k.add(k.index(round), start)), ...loop.body];
      return { ...loop, index: round, step: s.step * count, binding: 'serial', body };
    });
  return { ...kernel, body: walk(kernel.body) };
}

/** Ends of loops that may change while they run get a name: WGSL looks at the condition every time. */
export function fixedBounds(kernel: Kernel): Kernel {
  const names = new Names(kernel);
  const variables = new Set<string>();
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'var') variables.add(s.name);
  });
  const atHand = (e: Expr): boolean =>
    e.kind === 'literal' || e.kind === 'dim' || (e.kind === 'ref' && !variables.has(e.name));
  const walk = (body: readonly Stmt[]): readonly Stmt[] =>
    body.flatMap((s): readonly Stmt[] => {
      if (s.kind === 'if') return [{ ...s, then: walk(s.then), otherwise: walk(s.otherwise) }];
      if (s.kind !== 'for') return [s];
      const loop: For = { ...s, body: walk(s.body) };
      if (s.binding === 'workgroup' || atHand(s.to)) return [loop];
      const end = names.fresh(`${s.index}_end`);
      return [k.letStmt(end, s.to), { ...loop, to: k.index(end) }];
    });
  return { ...kernel, body: walk(kernel.body) };
}

/** Has lane 0 tell the others every condition and bound that encloses a meeting and can't be seen to be the same for all. */
export function agree(kernel: Kernel): Kernel {
  if (!meets(kernel.body)) return kernel;
  const names = new Names(kernel);
  const told = (value: Expr): Expr => ({ kind: 'shuffle', mode: 'index', value, lane: k.i32(0), type: value.type });
  let current = kernel;
  // An agreed bound makes what depends on it visibly uniform, so the outermost is settled first.
  for (;;) {
    const visible = visiblyUniform(current);
    let changed = false;
    const settle = (e: Expr, name: string, before: Stmt[]): Expr => {
      if (changed || visible(e)) return e;
      changed = true;
      const agreed = names.fresh(name);
      before.push(k.letStmt(agreed, told(e)));
      return k.ref(agreed, e.type);
    };
    const walk = (body: readonly Stmt[]): readonly Stmt[] =>
      body.flatMap((s): readonly Stmt[] => {
        if (!blocksOf(s).some(meets)) return [s];
        const before: Stmt[] = [];
        if (s.kind === 'if') {
          const condition = settle(s.condition, 'agreed', before);
          return [...before, { ...s, condition, then: walk(s.then), otherwise: walk(s.otherwise) }];
        }
        if (s.kind !== 'for') return [s];
        if (s.binding === 'workgroup') return [{ ...s, body: walk(s.body) }];
        const from = settle(s.from, `${s.index}_start`, before);
        const to = settle(s.to, `${s.index}_end`, before);
        return [...before, { ...s, from, to, body: walk(s.body) }];
      });
    const body = walk(current.body);
    if (!changed) return current;
    current = { ...current, body };
  }
}

/**
 * Tells what a WGSL compiler sees to be the same for all threads of a workgroup: constants, the sizes, the number of the
 * workgroup, read-only memory at such places, and what is made of them where control flow is uniform.
 */
export function visiblyUniform(kernel: Kernel): (e: Expr) => boolean {
  const readOnly = new Set(kernel.buffers.filter(isReadOnly).map((b) => b.name));
  const varying = new Set<string>();
  const visible = (e: Expr): boolean => {
    if (e.kind === 'ref') return !varying.has(e.name);
    if (e.kind === 'builtin' || e.kind === 'subgroup_fold') return false;
    if (e.kind === 'shuffle') return isTold(e, visible);
    if (e.kind === 'load' && !readOnly.has(e.buffer)) return false;
    return children(e).every(visible);
  };
  let changed: boolean;
  const spread = (name: string, is: boolean): void => {
    if (is || varying.has(name)) return;
    varying.add(name);
    changed = true;
  };
  const walk = (body: readonly Stmt[], uniform: boolean): void => {
    for (const s of body) {
      if (s.kind === 'let') spread(s.name, visible(s.value));
      else if (s.kind === 'var') spread(s.name, visible(s.init));
      else if (s.kind === 'assign') spread(s.name, uniform && visible(s.value));
      else if (s.kind === 'for') {
        const inside = uniform && visible(s.from) && visible(s.to);
        spread(s.index, inside || s.binding === 'workgroup');
        walk(s.body, inside);
      } else if (s.kind === 'if') {
        const inside = uniform && visible(s.condition);
        walk(s.then, inside);
        walk(s.otherwise, inside);
      }
    }
  };
  do {
    changed = false;
    walk(kernel.body, true);
  } while (changed);
  return visible;
}

const isReadOnly = (b: KernelBuffer): boolean => b.space === 'global' && b.access === 'read';

/** Whether a shuffle has one lane tell all others: then its result is uniform, and the compiler sees it. */
export const isTold = (e: Extract<Expr, { kind: 'shuffle' }>, visible: (e: Expr) => boolean): boolean =>
  e.mode === 'index' && visible(e.lane);
