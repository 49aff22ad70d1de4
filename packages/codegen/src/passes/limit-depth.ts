/**
 * No expression nests deeper than what reads the printed text can follow: assemblers and compilers descend into parentheses on a stack, which
 * some guard (WebGPU's refuse what is too deep) and some do not. The parts of a sum of hundreds of products, written as one expression, get
 * names. Ordinary kernels stay as they are.
 */
import { rewriteBinding } from '../kernel-ir/bind.ts';
import type { Expr, Kernel } from '../kernel-ir/types.ts';
import { eachChild, Names } from '../kernel-ir/walk.ts';

/** Levels of one expression. Those of the standard layers have fewer. */
const DEEPEST = 32;

/** Names parts of expressions, so that none has more levels than that. */
export function limitDepth(kernel: Kernel): Kernel {
  const depths = new Map<Expr, number>();
  const depthOf = (e: Expr): number => {
    const known = depths.get(e);
    if (known !== undefined) return known;
    let deepest = 0;
    eachChild(e, (child) => {
      deepest = Math.max(deepest, depthOf(child));
    });
    depths.set(e, deepest + 1);
    return deepest + 1;
  };
  const body = rewriteBinding(kernel.body, new Names(kernel), (e, bind) =>
    depthOf(e) >= DEEPEST ? bind('deep', e) : e,
  );
  return { ...kernel, body };
}
