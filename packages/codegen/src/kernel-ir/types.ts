/**
 * Kernel IR: how a layer is computed, in loops that any target can print.
 *
 * A kernel is a list of statements over buffers. Its vocabulary is workgroup, subgroup and lane; a SIMD machine uses
 * `vector` loops and vector types, a lane machine binds loops to `workgroup` and `lane` and uses subgroup operations.
 * Both are subsets of this one language, checked by `verify`: a target's legalise removes what its machine lacks.
 *
 * Names are unique within a kernel. Everything is readonly plain data; infinite literals are the one thing JSON can't hold.
 */
import { type Layout, storageBytes } from '@espalier/artefact';
import type { Size, StorageType } from '@espalier/ir';

export type ScalarType = 'f32' | 'i32' | 'bool';

/** `lanes` 1 is a scalar; more is a vector value held by one thread (not lanes of a subgroup). */
export interface ValueType {
  readonly scalar: ScalarType;
  readonly lanes: number;
}

/**
 * Elementwise operations; operands and result have equal lanes. Meanings are those of the layer language's operations
 * (`ScalarOp` in @espalier/ir) and:
 * `fma` a·b + c, rounded once where the machine can, else twice; `select` mask, then, otherwise (all evaluated);
 * `nearest` rounds f32 to the nearest integer, ties to even, and is for numbers below 2^22 in size;
 * `bit_*`, `shl`, `shr_s` (arithmetic) and `shr_u` (logical) on i32;
 * `dot_i16` of two i32, each taken as two signed numbers of 16 bits: the sum of their two products;
 * `bits_of` f32 → its bits as i32, `from_bits` back. `exp`, `ln`, `tanh`, `erf` exist until the pass `expand-math`.
 */
export type KernelOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'floordiv'
  | 'mod'
  | 'min'
  | 'max'
  | 'neg'
  | 'abs'
  | 'fma'
  | 'sqrt'
  | 'exp'
  | 'ln'
  | 'tanh'
  | 'erf'
  | 'floor'
  | 'nearest'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or'
  | 'not'
  | 'select'
  | 'bit_and'
  | 'bit_or'
  | 'bit_xor'
  | 'shl'
  | 'shr_s'
  | 'shr_u'
  | 'dot_i16'
  | 'bits_of'
  | 'from_bits'
  | 'to_f32'
  | 'to_i32';

/** Operations that can fold many values to one. */
export type FoldOp = 'add' | 'mul' | 'max' | 'min';

export type Expr =
  | { readonly kind: 'literal'; readonly value: number; readonly type: ValueType }
  /** A let, var or loop index. */
  | { readonly kind: 'ref'; readonly name: string; readonly type: ValueType }
  /** A runtime dim, i32. */
  | { readonly kind: 'dim'; readonly name: string; readonly type: ValueType }
  /** The machine's own indices, i32: of the lane within its workgroup, of the subgroup within the workgroup, of the lane within the subgroup. */
  | { readonly kind: 'builtin'; readonly which: 'lane' | 'subgroup' | 'subgroup_lane'; readonly type: ValueType }
  /**
   * Reads `lanes` consecutive elements of the buffer's physical order, starting at the element `indices` names.
   * One index per axis of the buffer; after the pass `flatten` a single index into the physical order, to which
   * `offset` (elements) is added. `passes`: a hint that nobody will read this again, so that caches need not keep it.
   */
  | {
      readonly kind: 'load';
      readonly buffer: string;
      readonly indices: readonly Expr[];
      readonly offset: number;
      readonly type: ValueType;
      readonly passes?: true;
    }
  | { readonly kind: 'op'; readonly op: KernelOp; readonly args: readonly Expr[]; readonly type: ValueType }
  /** One scalar in all lanes. */
  | { readonly kind: 'splat'; readonly value: Expr; readonly type: ValueType }
  /** A vector from scalars. */
  | { readonly kind: 'lanes'; readonly elements: readonly Expr[]; readonly type: ValueType }
  | { readonly kind: 'extract'; readonly value: Expr; readonly lane: number; readonly type: ValueType }
  /** All lanes of one vector value folded to a scalar, pairwise: ((0∘2) ∘ (1∘3)) for four. */
  | { readonly kind: 'fold'; readonly op: FoldOp; readonly value: Expr; readonly type: ValueType }
  /** The value folded over the lanes of a subgroup; every lane gets the result. Must be reached by all lanes together. */
  | { readonly kind: 'subgroup_fold'; readonly op: FoldOp; readonly value: Expr; readonly type: ValueType }
  /** The value another lane of the subgroup holds: that of lane `lane`, or of this lane's number xor `lane`. */
  | {
      readonly kind: 'shuffle';
      readonly mode: 'index' | 'xor';
      readonly value: Expr;
      readonly lane: Expr;
      readonly type: ValueType;
    };

/**
 * How the iterations of a loop are run.
 * `serial` in order by one thread. `grid`: independent steps, any split among threads or workgroups; at most one per
 * kernel, outermost. `workgroup`: one iteration a workgroup. `subgroup`, `lane`: iterations dealt out to the subgroups of
 * a workgroup or the lanes of a subgroup (the extent may exceed their number: they stride).
 */
export type Binding = 'serial' | 'grid' | 'workgroup' | 'subgroup' | 'lane';

/**
 * How elements lie in memory: as tensors do, or rounded to a format of matrix units, `bf16` in 2 bytes and `tf32` in 4. A store
 * rounds; what is rounded already is read by `fragment` alone, into a product of that precision. `f16x2`: f16 of which a load of one i32
 * reads the bits, extended with their sign, and a load of several reads words of two neighbours, twice as many elements as lanes.
 */
export type KernelStorage = StorageType | 'bf16' | 'tf32' | 'f16x2';

/** Bytes of an element. */
export const elementBytes: Readonly<Record<KernelStorage, number>> = { ...storageBytes, bf16: 2, tf32: 4, f16x2: 2 };

/** How a tensor's elements lie in a kernel's memory; only memory of a workgroup holds what is rounded for matrix units. */
export function tensorStorage({ name, storage }: KernelBuffer): StorageType {
  if (storage === 'f16x2') return 'f16';
  if (storage === 'bf16' || storage === 'tf32') throw new Error(`${name} holds ${storage}, which no tensor does`);
  return storage;
}

/** Formats of matrix-unit operands. `tf32`: f32 with 10 bits of fraction; `bf16`: with 7. */
export type MmaPrecision = 'f32' | 'tf32' | 'bf16' | 'f16';

export type Stmt =
  /** index = from; index < to; index += step. `to` is evaluated once. `step` > 0. */
  | {
      readonly kind: 'for';
      readonly index: string;
      /** The name schedule steps know it by; copies of a loop (main part, tail) share it. */
      readonly label: string;
      readonly from: Expr;
      readonly to: Expr;
      readonly step: number;
      readonly binding: Binding;
      readonly body: readonly Stmt[];
    }
  | {
      readonly kind: 'if';
      readonly condition: Expr;
      readonly then: readonly Stmt[];
      readonly otherwise: readonly Stmt[];
    }
  /** A name for a value. */
  | { readonly kind: 'let'; readonly name: string; readonly value: Expr }
  /** A variable; always initialised (targets that don't zero again in loops would be wrong silently). */
  | { readonly kind: 'var'; readonly name: string; readonly type: ValueType; readonly init: Expr }
  | { readonly kind: 'assign'; readonly name: string; readonly value: Expr }
  /** Writes as `load` reads. */
  | {
      readonly kind: 'store';
      readonly buffer: string;
      readonly indices: readonly Expr[];
      readonly offset: number;
      readonly value: Expr;
      readonly passes?: true;
    }
  /**
   * Brings what stands there into the nearer caches, for loads that come soon: a place as `load` has it, of which nothing is used. It means
   * nothing, so a machine may leave it out.
   */
  | { readonly kind: 'touch'; readonly buffer: string; readonly indices: readonly Expr[]; readonly offset: number }
  /** All lanes of the scope arrive before any leaves, and see each other's stores. */
  | { readonly kind: 'barrier'; readonly scope: 'workgroup' | 'subgroup' }
  /** Records fault number `fault` (1-based index into `Kernel.faults`) when the condition is false; execution goes on and must stay memory-safe. */
  | { readonly kind: 'check'; readonly condition: Expr; readonly fault: number }
  /**
   * Moves a whole matrix fragment between the lanes of a subgroup and memory: the block of `buffer` (global or workgroup, of
   * the fragment's rank) that starts at `indices`. `zero` touches no memory: `buffer` is null, `indices` empty. `take` gives each lane the
   * elements it holds, in `buffer`, which is private and of one axis; which they are is `held`'s to say (`heldAt`), `indices` is empty.
   */
  | {
      readonly kind: 'fragment';
      readonly move: 'load' | 'store' | 'zero' | 'take';
      readonly fragment: string;
      readonly buffer: string | null;
      readonly indices: readonly Expr[];
      readonly held?: HeldTile;
    }
  /**
   * accumulator[rows × columns] += a[rows × depth] · b[depth × columns] by the matrix units of a subgroup; all three are
   * fragments (buffers in space `subgroup`) of these shapes. `precision`: what the elements of a and b are rounded to on
   * their way in; products are exact and sums f32.
   */
  | {
      readonly kind: 'mma';
      readonly accumulator: string;
      readonly a: string;
      readonly b: string;
      readonly rows: number;
      readonly columns: number;
      readonly depth: number;
      readonly precision: MmaPrecision;
    }
  | { readonly kind: 'comment'; readonly text: string };

/**
 * Which elements of an accumulator a lane holds: it is cut into tiles of rows × columns, in each of which the lanes stand in rows of
 * columns / run, each with `run` neighbours of a row, and stand there again further down until the tile is covered.
 */
export interface HeldTile {
  readonly rows: number;
  readonly columns: number;
  readonly run: number;
}

/**
 * Memory a kernel names. `global`: bound by the runtime. `workgroup`: shared by the lanes of one workgroup; constant
 * size. `subgroup`: a matrix fragment, held by the lanes of one subgroup together in an order of the machine's own, so only
 * `fragment` and `mma` may touch it; constant size. `private`: of one thread; a size over runtime dims is allowed, the
 * runtime provides it as scratch. `scratch`: shared by the lanes of one workgroup like `workgroup`, but in global memory and of
 * a size over runtime dims; a kernel has at most one, of bits (i32), made by the pass `spill`. It begins unwritten.
 */
export interface KernelBuffer {
  readonly name: string;
  readonly space: 'global' | 'workgroup' | 'subgroup' | 'scratch' | 'private';
  readonly access: 'read' | 'write' | 'read_write';
  readonly storage: KernelStorage;
  readonly shape: readonly Size[];
  readonly layout: Layout;
  /** What a runtime is asked of this buffer's data that `layout` does not say, where a target reads them in a way of its own. */
  readonly bound?: { readonly layout: Layout; readonly finite: boolean };
  /** Tensors of which this buffer holds copies, one after another, in place of bindings of their own. */
  readonly parts?: readonly string[];
}

export interface KernelFault {
  readonly message: string;
  readonly place: string;
}

export interface Kernel {
  readonly name: string;
  /** What it computes, for people: "y[t, o] = … (contract)". */
  readonly label: string;
  /** Where in the layer's source what it computes stands: "linear.layer:3:1", several with commas between. */
  readonly place?: string;
  readonly buffers: readonly KernelBuffer[];
  /** Runtime dims it uses, in the layer's order. */
  readonly dims: readonly string[];
  readonly body: readonly Stmt[];
  readonly faults: readonly KernelFault[];
  /** How many subgroups a workgroup has, and lanes a subgroup. Absent: every thread runs alone. */
  readonly workgroup?: Workgroup;
}

export interface Workgroup {
  readonly subgroups: number;
  readonly lanes: number;
}
