/** Which integers are surely not negative: what a target with unsigned base addresses must know of an index. */
import type { Affine } from './affine.ts';
import type { Expr, Kernel } from './types.ts';
import { visitStatements } from './walk.ts';

/**
 * Tells of a sum whether every part of it is 0 or more on every run. Names, and integers in a kernel's own memory, are taken to be so
 * until a definition, an assignment or a store shows otherwise, which is sound because each is judged by what came before it in
 * time: own memory begins unwritten, and nothing unwritten is read. Arithmetic is taken not to overflow.
 */
export function nonNegativeIn(kernel: Kernel): (sum: Affine) => boolean {
  const definitions: { readonly name: string; readonly value: Expr }[] = [];
  const own = new Set(kernel.buffers.filter((b) => b.space === 'private' && b.storage === 'i32').map((b) => b.name));
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store' && own.has(s.buffer)) definitions.push({ name: memoryOf(s.buffer), value: s.value });
    if (s.kind === 'let' || s.kind === 'assign') definitions.push({ name: s.name, value: s.value });
    else if (s.kind === 'var') definitions.push({ name: s.name, value: s.init });
    else if (s.kind === 'for') definitions.push({ name: s.index, value: s.from });
  });
  const doubtful = new Set<string>();
  const isSure = (e: Expr): boolean => {
    switch (e.kind) {
      case 'literal':
        return e.value >= 0;
      case 'ref':
        return !doubtful.has(e.name);
      case 'dim':
      case 'builtin':
        return true;
      case 'load':
        return own.has(e.buffer) && !doubtful.has(memoryOf(e.buffer));
      case 'splat':
        return isSure(e.value);
      case 'lanes':
        return e.elements.every(isSure);
      case 'op':
        return isSureOp(e, isSure);
      default:
        return false;
    }
  };
  for (let settled = false; !settled; ) {
    settled = true;
    for (const { name, value } of definitions) {
      if (doubtful.has(name) || isSure(value)) continue;
      doubtful.add(name);
      settled = false;
    }
  }
  return (sum) => [...sum.values()].every((m) => m.coefficient >= 0 && m.atoms.every((a) => isSure(a.expr)));
}

/** Stands for all that a buffer holds, among names. */
const memoryOf = (buffer: string): string => `memory of ${buffer}`;

function isSureOp(e: Extract<Expr, { kind: 'op' }>, isSure: (e: Expr) => boolean): boolean {
  if (e.type.scalar !== 'i32') return false;
  switch (e.op) {
    case 'add':
    case 'mul':
    case 'floordiv':
    case 'min':
    case 'shl':
    case 'shr_s':
      return e.args.every(isSure);
    case 'max':
    case 'bit_and':
      return e.args.some(isSure);
    case 'mod': {
      // Rounds towards minus infinity: the result has the sign of the divisor.
      const divisor = e.args[1];
      return divisor !== undefined && isSure(divisor);
    }
    case 'select':
      return e.args.slice(1).every(isSure);
    case 'abs':
      return true;
    default:
      return false;
  }
}
