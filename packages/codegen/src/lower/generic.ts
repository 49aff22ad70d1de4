/**
 * The floor: one statement as the plainest loop nest, its first axis the grid. Lowers every legal statement; the other
 * strategies are judged against it.
 */
import type { LayerIR, Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Kernel } from '../kernel-ir/types.ts';
import { lowerExpr } from './expr.ts';
import { textOf } from './layer-expr.ts';
import { KernelBuilder, Scope } from './scope.ts';

export function lowerGeneric(s: Statement, layer: LayerIR, name: string): Kernel {
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const [first, ...rest] = s.axes;
  const target = kernel.global(s.target, 'write');
  const fill = (body: Scope): void => {
    body.loops(rest, (inner) =>
      inner.emit(
        k.store(
          target,
          s.axes.map((a) => inner.lookup(a.name)),
          lowerExpr(s.value, inner),
        ),
      ),
    );
  };
  const grid = kernel.names.fresh(first?.name ?? 'once');
  const body = scope.inner();
  if (first !== undefined) body.bind(first.name, k.index(grid));
  fill(body);
  const steps = first === undefined ? k.i32(1) : k.sizeExpr(first.size);
  scope.emit(k.loop(grid, k.i32(0), steps, body.block, { binding: 'grid', label: first?.name ?? 'once' }));
  return kernel.finish(name, `generic: ${textOf(layer, s.span)}`, scope.block);
}
