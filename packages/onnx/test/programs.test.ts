/**
 * Random programs, exactly. Data are small whole numbers, factors are kept within ±64, and every operation here is exact on
 * whole numbers below 2^24: so ONNX Runtime must give what the interpreter gives, to the bit, whatever order it sums in.
 *
 * A program is read off a tape of numbers, each of which settles one choice; a failing tape shrinks to a short one.
 */
import {
  type Expr,
  type IndexRange,
  type LayerIR,
  type ReduceOp,
  type ScalarOp,
  type Statement,
  traceLayer,
} from '@espalier/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  at,
  descend,
  f32,
  i32,
  layer,
  local,
  op,
  range,
  read,
  reduce,
  select,
  sizeOf,
  statement,
  tensor,
} from './expressions.ts';
import { compareLayer, random } from './reference.ts';

const inputs = [
  tensor('input', 'x', ['T', 4]),
  tensor('input', 'id', ['T'], 'i32'),
  tensor('weight', 'w', [3, 4]),
  tensor('weight', 'v', [3, 4, 4]),
  tensor('weight', 'n', [4, 3], 'i32'),
];
/** The sizes of the tensors above and of every statement: all axes are one of these. */
const shapes: ReadonlyMap<string, readonly (string | number)[]> = new Map([
  ['x', ['T', 4]],
  ['id', ['T']],
  ['w', [3, 4]],
  ['v', [3, 4, 4]],
  ['n', [4, 3]],
]);

interface Index {
  readonly name: string;
  readonly extent: string | number;
}

function programOf(tape: readonly number[]): LayerIR {
  let position = 0;
  let serial = 0;
  const choose = (options: number): number => {
    const next = tape[position++] ?? 0;
    return next % options;
  };
  const pick = <T>(options: readonly T[]): T => {
    const chosen = options[choose(options.length)];
    if (chosen === undefined) throw new RangeError('nothing to choose from');
    return chosen;
  };
  const known = new Map<string, { readonly shape: readonly (string | number)[]; readonly type: 'f32' | 'i32' }>(
    [...shapes].map(([name, shape]) => [name, { shape, type: name === 'id' || name === 'n' ? 'i32' : 'f32' }]),
  );

  /** An index into an axis: one of the indices around of that size, a shifted one, a constant, or a computed one. */
  function subscript(extent: string | number, scope: readonly Index[], depth: number): Expr {
    const fitting = scope.filter((index) => index.extent === extent);
    const any = (): Expr =>
      op('mod', whole(scope, depth - 1), typeof extent === 'number' ? i32(extent) : sizeOf(extent));
    const index = fitting.length === 0 ? null : at(pick(fitting).name);
    if (index === null)
      return depth > 0 && choose(2) === 1 ? any() : typeof extent === 'number' ? i32(extent - 1) : any();
    return depth > 0 && choose(4) === 3 ? any() : index;
  }

  function access(type: 'f32' | 'i32', scope: readonly Index[], depth: number): Expr {
    const name = pick([...known].filter(([, tensor]) => tensor.type === type).map(([name]) => name));
    return read(
      name,
      (known.get(name)?.shape ?? []).map((extent) => subscript(extent, scope, depth)),
      type,
    );
  }

  function whole(scope: readonly Index[], depth: number): Expr {
    if (depth <= 0) return scope.length > 0 ? at(pick(scope).name) : i32(choose(5));
    switch (choose(6)) {
      case 0:
        return access('i32', scope, depth - 1);
      case 1:
        return op(pick<ScalarOp>(['add', 'sub', 'min', 'max']), whole(scope, depth - 1), whole(scope, depth - 1));
      case 2:
        return op(pick<ScalarOp>(['mod', 'floordiv']), whole(scope, depth - 1), i32(pick([3, -2, 5])));
      case 3:
        return op('to_i32', real(scope, depth - 1));
      case 4: {
        const index = { name: `r${serial++}`, extent: pick<string | number>([3, 4, 'T']) };
        const body = real([...scope, index], depth - 1);
        return reduce(pick<ReduceOp>(['argmax', 'argmin']), [range(index.name, index.extent)], body);
      }
      default:
        return select(truth(scope, depth - 1), whole(scope, depth - 1), whole(scope, depth - 1));
    }
  }

  function truth(scope: readonly Index[], depth: number): Expr {
    const compared: ScalarOp = pick(['lt', 'le', 'gt', 'ge', 'eq', 'ne']);
    if (depth <= 0) return op(compared, at(pick(scope).name), i32(1));
    switch (choose(4)) {
      case 0:
        return op(compared, whole(scope, depth - 1), whole(scope, depth - 1));
      case 1:
        return op(pick<ScalarOp>(['and', 'or']), truth(scope, depth - 1), truth(scope, depth - 1));
      case 2:
        return op('not', truth(scope, depth - 1));
      default:
        return op(compared, real(scope, depth - 1), real(scope, depth - 1));
    }
  }

  const factor = (scope: readonly Index[], depth: number): Expr =>
    choose(2) === 0 ? access('f32', scope, 1) : op('max', op('min', real(scope, depth), f32(64)), f32(-64));

  function real(scope: readonly Index[], depth: number): Expr {
    if (depth <= 0) return choose(3) === 0 ? f32(choose(5) - 2) : access('f32', scope, 0);
    switch (choose(9)) {
      case 0:
        return access('f32', scope, depth);
      case 1:
        return op(pick<ScalarOp>(['add', 'sub', 'min', 'max']), real(scope, depth - 1), real(scope, depth - 1));
      case 2:
        return op(pick<ScalarOp>(['neg', 'abs', 'floor']), real(scope, depth - 1));
      case 3:
        return op('to_f32', op('mod', whole(scope, depth - 1), i32(7)));
      case 4:
        return select(truth(scope, depth - 1), real(scope, depth - 1), real(scope, depth - 1));
      case 5: {
        const name = `n${serial++}`;
        const node = local(name, 'i32');
        const inside = op('mod', node, i32(3));
        const row = read('w', [inside, subscript(4, scope, 0)]);
        const next = op(
          'mod',
          op('add', op('add', op('mul', i32(2), node), i32(1)), op('to_i32', op('gt', row, f32(0)))),
          i32(7),
        );
        return descend({
          node: name,
          init: op('mod', whole(scope, 1), i32(3)),
          levels: choose(4),
          yields: op('add', row, real(scope, depth - 2)),
          next,
        });
      }
      case 6: {
        const index = { name: `r${serial++}`, extent: pick<string | number>([3, 4, 'T']) };
        const inner = [...scope, index];
        return reduce(pick<ReduceOp>(['max', 'min']), [range(index.name, index.extent)], real(inner, depth - 1));
      }
      default: {
        const indices: readonly Index[] = Array.from({ length: 1 + choose(2) }, () => ({
          name: `r${serial++}`,
          extent: pick<string | number>([4, 3, 'T']),
        }));
        const inner = [...scope, ...indices];
        const product = Array.from({ length: 1 + choose(3) }, () => factor(inner, depth - 2)).reduce((a, b) =>
          op('mul', a, b),
        );
        const kept = op('max', op('min', product, f32(4096)), f32(-4096));
        return reduce(
          'sum',
          indices.map(({ name, extent }) => range(name, extent)),
          choose(4) === 3 ? kept : product,
        );
      }
    }
  }

  const statements: Statement[] = [];
  for (let k = 0; k < 1 + choose(3); k++) {
    const axes: Index[] = Array.from({ length: 1 + choose(3) }, () => ({
      name: `a${serial++}`,
      extent: pick<string | number>(['T', 4, 3]),
    }));
    const ranges: readonly IndexRange[] = axes.map(({ name, extent }) => range(name, extent));
    const target = `y${k}`;
    const value =
      choose(4) === 3 ? op('mod', whole(axes, 3), i32(5)) : op('max', op('min', real(axes, 3), f32(64)), f32(-64));
    statements.push(statement(target, ranges, value));
    known.set(target, { shape: axes.map(({ extent }) => extent), type: value.type === 'f32' ? 'f32' : 'i32' });
  }
  return layer(['T'], inputs, statements);
}

describe('random programs', () => {
  it('give the same numbers', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(1000), { minLength: 20, maxLength: 120 }),
        fc.constantFrom(1, 2, 5),
        fc.nat(),
        async (tape, T, seed) => {
          const next = random(seed);
          const whole = (length: number): Float32Array => Float32Array.from({ length }, () => Math.round(next() * 2));
          const data = { x: whole(T * 4), w: whole(12), v: whole(48) };
          await compareLayer(traceLayer(programOf(tape)), { dims: { T }, seed, data, most: 3, rounded: true });
          run++;
        },
      ),
      { numRuns: 150, seed: 20231117 },
    );
    expect(run).toBe(150);
  });
});
