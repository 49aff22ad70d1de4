/**
 * Where lowering stands: the block it writes to, what the layer's names mean there, and the kernel under construction.
 * Blocks nest; what an inner block caches or binds is forgotten when it closes.
 */
import { type Layout, rowMajor } from '@espalier/artefact';
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes, type TensorDecl } from '@espalier/ir';
import { exprKey } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, KernelFault, KernelStorage, Stmt } from '../kernel-ir/types.ts';
import { Names } from '../kernel-ir/walk.ts';
import { uncheckedDivisions } from './divisors.ts';
import { unguardedAccesses } from './guards.ts';

/** How a tensor is read at this place: a value at hand, or memory addressed by some of its axes. */
export type TensorHandle =
  | { readonly kind: 'value'; readonly expr: Expr }
  | { readonly kind: 'memory'; readonly buffer: string; readonly axes: readonly number[] };

export class KernelBuilder {
  readonly names = new Names();
  readonly faults: KernelFault[] = [];
  readonly #buffers = new Map<string, KernelBuffer>();
  readonly #layer: LayerIR;
  readonly #unguarded: ReadonlySet<LayerExpr>;
  readonly #divisions: ReadonlySet<LayerExpr>;

  constructor(layer: LayerIR) {
    this.#layer = layer;
    this.#unguarded = unguardedAccesses(layer);
    this.#divisions = uncheckedDivisions(layer);
    for (const t of layer.tensors) this.names.fresh(t.name);
    for (const d of layer.dims) this.names.fresh(d);
  }

  get layer(): LayerIR {
    return this.#layer;
  }

  tensor(name: string): TensorDecl {
    const found = this.#layer.tensors.find((t) => t.name === name);
    if (found === undefined) throw new Error(`${this.#layer.name} has no tensor ${name}`);
    return found;
  }

  /** Whether an access of the layer stays inside its tensor even where a branch around it is not taken. */
  needsNoGuard(access: LayerExpr): boolean {
    return this.#unguarded.has(access);
  }

  /** Whether a division of the layer may meet a divisor below 1. */
  mustCheck(division: LayerExpr): boolean {
    return this.#divisions.has(division);
  }

  /** Declares that the kernel reads or writes a tensor of the layer. */
  global(name: string, access: 'read' | 'write'): string {
    const t = this.tensor(name);
    const previous = this.#buffers.get(name);
    const both = previous !== undefined && previous.access !== access;
    this.#buffers.set(name, {
      name,
      space: 'global',
      access: both ? 'read_write' : access,
      storage: t.storage,
      shape: t.shape,
      layout: rowMajor(t.shape.length),
    });
    return name;
  }

  /** Declares memory of the kernel's own, private to a thread unless it says otherwise. */
  scratch(
    base: string,
    shape: readonly Size[],
    storage: KernelStorage,
    space: 'private' | 'workgroup' | 'subgroup' = 'private',
    layout: Layout = rowMajor(shape.length),
  ): string {
    const name = this.names.fresh(base);
    this.#buffers.set(name, {
      name,
      space,
      access: 'read_write',
      storage,
      shape,
      layout,
    });
    return name;
  }

  /** Whether the kernel has written to a buffer, so far: its own memory, or an output. */
  isWritten(buffer: string): boolean {
    const found = this.#buffers.get(buffer);
    return found?.space !== 'global' || found.access !== 'read';
  }

  fault(message: string, place: string): number {
    const known = this.faults.findIndex((f) => f.message === message && f.place === place);
    if (known >= 0) return known + 1;
    this.faults.push({ message, place });
    return this.faults.length;
  }

  finish(name: string, label: string, body: readonly Stmt[]): Kernel {
    const order = this.#layer.tensors.map((t) => t.name);
    const rank = (b: KernelBuffer): number => (b.space === 'global' ? order.indexOf(b.name) : order.length);
    const buffers = [...this.#buffers.values()].sort((a, b) => rank(a) - rank(b));
    return { name, label, buffers, dims: this.#layer.dims, body, faults: this.faults };
  }
}

/** One block being written, and the meaning of names in it. */
export class Scope {
  readonly kernel: KernelBuilder;
  readonly block: Stmt[] = [];
  readonly #parent: Scope | null;
  readonly #names = new Map<string, Expr>();
  readonly #tensors = new Map<string, TensorHandle>();
  readonly #values = new Map<string, Expr>();
  readonly #standIns = new Map<LayerExpr, Expr>();
  /** Set when a name means something else here than around: values cached around are over the old meaning. */
  #renames = false;

  constructor(kernel: KernelBuilder, parent: Scope | null = null) {
    this.kernel = kernel;
    this.#parent = parent;
  }

  inner(): Scope {
    return new Scope(this.kernel, this);
  }

  emit(...statements: readonly Stmt[]): void {
    this.block.push(...statements);
  }

  /** An index or local of the layer, as a kernel expression. */
  bind(name: string, expr: Expr): void {
    const before = this.lookupOrNull(name);
    if (before !== null && exprKey(before) !== exprKey(expr)) {
      this.#renames = true;
      this.#values.clear();
    }
    this.#names.set(name, expr);
  }

  lookup(name: string): Expr {
    const found = this.lookupOrNull(name);
    if (found === null) throw new Error(`${this.kernel.layer.name}: ${name} means nothing here`);
    return found;
  }

  private lookupOrNull(name: string): Expr | null {
    return this.#names.get(name) ?? this.#parent?.lookupOrNull(name) ?? null;
  }

  /** Says how a tensor is read from here on. */
  provide(tensor: string, handle: TensorHandle): void {
    this.#tensors.set(tensor, handle);
  }

  handle(tensor: string): TensorHandle {
    const found = this.#tensors.get(tensor) ?? this.#parent?.handleOrNull(tensor);
    if (found) return found;
    const rank = this.kernel.tensor(tensor).shape.length;
    return {
      kind: 'memory',
      buffer: this.kernel.global(tensor, 'read'),
      axes: Array.from({ length: rank }, (_, i) => i),
    };
  }

  private handleOrNull(tensor: string): TensorHandle | null {
    return this.#tensors.get(tensor) ?? this.#parent?.handleOrNull(tensor) ?? null;
  }

  /** A value computed earlier in this block or one around it, by its key. */
  cached(key: string): Expr | null {
    return this.#values.get(key) ?? (this.#renames ? null : (this.#parent?.cached(key) ?? null));
  }

  cache(key: string, value: Expr): void {
    this.#values.set(key, value);
  }

  /** From here on, this very node of the layer has been computed already. */
  substitute(node: LayerExpr, value: Expr): void {
    this.#standIns.set(node, value);
  }

  standIn(node: LayerExpr): Expr | null {
    return this.#standIns.get(node) ?? this.#parent?.standIn(node) ?? null;
  }

  /** Writes a loop over 0 … size − 1 for a layer index; `fill` writes its body. */
  loop(base: string, size: Size, fill: (body: Scope, index: Expr) => void): void {
    const name = this.kernel.names.fresh(base);
    const body = this.inner();
    const at = k.index(name);
    body.bind(base, at);
    fill(body, at);
    const known = Sizes.constantOf(size);
    if (known === 0) return;
    this.emit(k.loop(name, k.i32(0), k.sizeExpr(size), body.block, { label: base }));
  }

  /** Nested loops over several indices, outermost first. */
  loops(ranges: readonly { readonly name: string; readonly size: Size }[], fill: (body: Scope) => void): void {
    const [first, ...rest] = ranges;
    if (first === undefined) fill(this);
    else this.loop(first.name, first.size, (body) => body.loops(rest, fill));
  }
}
