/** Targets of one's own, as `--target` loads them. */
import { type Kernel, type Target, wasm, wgsl } from '@espalier/codegen';

type Body = Kernel['body'];

const without = (body: Body, kind: string): Body =>
  body.flatMap((s): Body => {
    if (s.kind === kind) return [];
    if (s.kind === 'for') return [{ ...s, body: without(s.body, kind) }];
    if (s.kind === 'if') return [{ ...s, then: without(s.then, kind), otherwise: without(s.otherwise, kind) }];
    return [s];
  });

/** WGSL whose lanes don't wait for each other. */
export const hasty: Target = {
  ...wgsl,
  name: 'hasty',
  legalise: () => [{ name: 'hasty-spill', run: (kernel) => ({ ...kernel, body: without(kernel.body, 'barrier') }) }],
};

/** WebAssembly without fused multiply-add, and no binary. */
export const careful: Target = { ...wasm, name: 'careful', defaults: { 'relaxed-simd': false }, assemble: null };

export const notQuite = { name: 'notQuite', extension: 'txt', defaults: {}, print: () => '' };
