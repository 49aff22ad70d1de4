/**
 * Memory under the simulator: elements, which of them were written, and for memory that lanes share, who touched each
 * element last. Fresh memory of a workgroup costs nothing: an element counts as written when its stamp is that of the
 * workgroup.
 */
import { physicalLength, physicalShape } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { KernelBuffer, KernelStorage } from '../kernel-ir/types.ts';

/** Elements of one storage type. f16 elements are seen as numbers here and as bits by `bits`. */
export type Elements = Float32Array | Float16Array | Int32Array | Int8Array;

/** Memory that a launch binds. */
export interface Bound {
  readonly storage: KernelStorage;
  /** The elements in physical order; as bits (Uint16Array) for f16. */
  readonly data: Float32Array | Uint16Array | Int32Array | Int8Array;
  /** Not 0 where something was written: of element i at i · `stride`. */
  readonly written: Uint8Array;
  /** A power of two. */
  readonly stride: number;
}

/** Elements that products round anyway are kept as they come. */
const arrays = {
  f32: Float32Array,
  f16: Uint16Array,
  i32: Int32Array,
  i8: Int8Array,
  bf16: Float32Array,
  tf32: Float32Array,
  f16x2: Uint16Array,
} as const satisfies Record<KernelStorage, unknown>;

/** Fresh memory of which nothing is written. */
export function unwritten(storage: KernelStorage, length: number): Bound {
  return { storage, data: new arrays[storage](length), written: new Uint8Array(length), stride: 1 };
}

const elementsOf = (data: Bound['data']): Elements =>
  data instanceof Uint16Array ? new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length) : data;

/** A buffer of a kernel while it runs; of spaces other than global, all instances one after another. */
export class Memory {
  readonly buffer: KernelBuffer;
  /** Elements of one instance. */
  readonly length: number;
  /** Logical extents. */
  readonly shape: readonly number[];
  /** Elements there is room for: an empty tensor has memory as if its empty axes had one place, where a failed check ends up. */
  readonly room: number;
  /** Extents of the physical order. */
  readonly extents: readonly number[];
  readonly data: Elements;
  /** The bits of f16 elements, else `data`. */
  readonly bits: Elements | Uint16Array;
  /** Of global memory 0 or not; of other memory the number of the workgroup that wrote. */
  readonly written: Uint8Array | Int32Array;
  readonly shift: number;
  /** Null where no lane writes, or no other lane can. */
  readonly shadow: Shadow | null;

  /** `bound` for global memory, else the number of instances. */
  constructor(buffer: KernelBuffer, dims: ReadonlyMap<string, number>, bound: Bound | number, shadowed: Shadowed) {
    this.buffer = buffer;
    const shape = buffer.shape.map((size) => Sizes.evaluate(size, dims));
    this.shape = shape;
    const roomy = shape.map((size) => Math.max(1, size));
    this.room = physicalLength(buffer.layout, roomy);
    this.extents = physicalShape(buffer.layout, shape);
    const length = physicalLength(buffer.layout, shape);
    if (typeof bound === 'number') {
      const fresh = unwritten(buffer.storage, length * bound);
      this.length = length;
      this.bits = fresh.data;
      this.data = elementsOf(fresh.data);
      this.written = new Int32Array(length * bound);
      this.shift = 0;
    } else {
      this.length = Math.min(length, bound.data.length);
      this.bits = bound.data;
      this.data = elementsOf(bound.data);
      this.written = bound.written;
      this.shift = Math.log2(bound.stride);
    }
    this.shadow = shadowed === 'none' ? null : new Shadow(this.length, shadowed, buffer.space === 'global');
  }

  /** The physical place of an element, −1 where there is none. */
  place(indices: readonly number[]): number {
    let flat = 0;
    for (const [i, d] of this.buffer.layout.entries()) {
      const index = indices[d.axis] as number;
      const part = d.part === 'whole' ? index : d.part === 'outer' ? Math.floor(index / d.block) : index % d.block;
      const extent = this.extents[i] as number;
      if (!(part >= 0 && part < extent)) return -1;
      flat = flat * extent + part;
    }
    return flat;
  }
}

/** What races can be in a buffer: none, between writes, or between writes and reads too. */
export type Shadowed = 'none' | 'writes' | 'all';

const none = new Int32Array(0);

/**
 * Who touched each element last: the writer, and two readers since. Each as an epoch (0: nobody), a lane with the subgroup
 * barriers it had passed, and a site. `Clock.meets` says what these mean. And who wrote the same value beside the writer, of
 * which there is mostly nobody, so those arrays are made when they are first wanted.
 */
export class Shadow {
  /** Whether what an earlier workgroup did counts. */
  readonly global: boolean;
  readonly writeEpoch: Int32Array;
  readonly writeWho: Int32Array;
  readonly writeSite: Int32Array;
  readonly readEpoch: Int32Array;
  readonly readWho: Int32Array;
  readonly readSite: Int32Array;
  readonly otherEpoch: Int32Array;
  readonly otherWho: Int32Array;
  readonly otherSite: Int32Array;
  #twins: { readonly epoch: Int32Array; readonly who: Int32Array; readonly site: Int32Array } | null = null;

  constructor(length: number, shadowed: Exclude<Shadowed, 'none'>, global: boolean) {
    const array = (): Int32Array<ArrayBuffer> => new Int32Array(length);
    const read = (): Int32Array<ArrayBuffer> => (shadowed === 'all' ? array() : none);
    this.global = global;
    this.writeEpoch = array();
    this.writeWho = array();
    this.writeSite = array();
    this.readEpoch = read();
    this.readWho = read();
    this.readSite = read();
    this.otherEpoch = read();
    this.otherWho = read();
    this.otherSite = read();
  }

  get hasTwins(): boolean {
    return this.#twins !== null;
  }

  /** Who wrote the same value as the writer, unordered with it. */
  twins(): { readonly epoch: Int32Array; readonly who: Int32Array; readonly site: Int32Array } {
    const array = (): Int32Array => new Int32Array(this.writeEpoch.length);
    this.#twins ??= { epoch: array(), who: array(), site: array() };
    return this.#twins;
  }
}
