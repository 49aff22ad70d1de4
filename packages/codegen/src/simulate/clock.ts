/**
 * Which accesses of shared memory are ordered, and which race. Time is counted in epochs: each workgroup begins one, and so
 * does each barrier of a workgroup; a barrier of a subgroup advances that subgroup's own count within the epoch. Workgroups of
 * a launch are never ordered. A lane's own accesses are.
 *
 * Keeping one writer and two readers an element is enough to find every race with the next access: of two readers in
 * different subgroups or workgroups any writer meets one, and readers of one subgroup are kept by their newest count. Where
 * lanes may store one value side by side, two writers are kept for the same reason, for whoever stores another value then.
 */
import type { Shadow } from './memory.ts';

/** Room for lanes in a `who`; above it is the count of subgroup barriers. */
export const MOST_LANES = 4096;
const MOST_COUNT = 2 ** 31 / MOST_LANES - 1;

/** An earlier access, as the shadow keeps it. */
export interface Earlier {
  readonly epoch: number;
  readonly lane: number;
  readonly site: number;
}

/** `lane` from `threads` on stands for a subgroup that acts as one: `threads` + its number. */
export class Clock {
  readonly #threads: number;
  readonly #lanes: number;
  /** Of each subgroup, shifted to where `who` has it. */
  readonly #counts: Int32Array;
  /** The first epoch of each workgroup, in the order they ran, and its number. */
  readonly #begins: number[] = [];
  readonly #groups: number[] = [];
  #epoch = 0;
  #begin = 0;
  readonly #race: (earlier: Earlier, at: number, lane: number, site: number, write: boolean) => void;

  constructor(
    threads: number,
    lanes: number,
    race: (earlier: Earlier, at: number, lane: number, site: number, write: boolean) => void,
  ) {
    this.#threads = threads;
    this.#lanes = lanes;
    this.#counts = new Int32Array(threads / lanes);
    this.#race = race;
  }

  beginWorkgroup(group: number): void {
    this.#begin = ++this.#epoch;
    this.#begins.push(this.#epoch);
    this.#groups.push(group);
    this.#counts.fill(0);
  }

  workgroupBarrier(): void {
    this.#epoch++;
    this.#counts.fill(0);
  }

  subgroupBarrier(subgroup: number): void {
    const next = (this.#counts[subgroup] as number) + MOST_LANES;
    if (next / MOST_LANES > MOST_COUNT)
      throw new RangeError('more subgroup barriers between two of a workgroup than can be counted');
    this.#counts[subgroup] = next;
  }

  /** The workgroup that was running at an epoch. */
  workgroupAt(epoch: number): number {
    let low = 0;
    for (let high = this.#begins.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if ((this.#begins[middle] as number) <= epoch) low = middle;
      else high = middle - 1;
    }
    return this.#groups[low] ?? 0;
  }

  /** A lane reads element `at`. */
  read(shadow: Shadow, at: number, lane: number, site: number): void {
    const epoch = shadow.writeEpoch[at] as number;
    if (epoch !== 0 && this.#meets(shadow.global, epoch, shadow.writeWho[at] as number, lane))
      this.#tell(epoch, shadow.writeWho[at] as number, shadow.writeSite[at] as number, at, lane, site, false);
    this.#remember(shadow, at, lane, site);
  }

  /** A lane writes element `at`. `harmless`: not to be held against another write. */
  write(shadow: Shadow, at: number, lane: number, site: number, harmless: boolean): void {
    const { global } = shadow;
    const { writeEpoch, writeWho, writeSite, readEpoch, otherEpoch } = shadow;
    const epoch = writeEpoch[at] as number;
    const met = epoch !== 0 && this.#meets(global, epoch, writeWho[at] as number, lane);
    if (met && harmless) this.#keepTwin(shadow, at, lane);
    if (met && !harmless) {
      this.#tell(epoch, writeWho[at] as number, writeSite[at] as number, at, lane, site, true);
    } else if (!harmless && this.#meetsTwin(shadow, at, lane)) {
      const twin = shadow.twins();
      this.#tell(twin.epoch[at] as number, twin.who[at] as number, twin.site[at] as number, at, lane, site, true);
    } else if (readEpoch.length > 0) {
      const first = readEpoch[at] as number;
      const second = otherEpoch[at] as number;
      if (first !== 0 && this.#meets(global, first, shadow.readWho[at] as number, lane))
        this.#tell(first, shadow.readWho[at] as number, shadow.readSite[at] as number, at, lane, site, true);
      else if (second !== 0 && this.#meets(global, second, shadow.otherWho[at] as number, lane))
        this.#tell(second, shadow.otherWho[at] as number, shadow.otherSite[at] as number, at, lane, site, true);
    }
    if (readEpoch.length > 0) {
      readEpoch[at] = 0;
      otherEpoch[at] = 0;
    }
    writeEpoch[at] = this.#epoch;
    writeWho[at] = this.#who(lane);
    writeSite[at] = site;
  }

  #meetsTwin(shadow: Shadow, at: number, lane: number): boolean {
    if (!shadow.hasTwins) return false;
    const { epoch, who } = shadow.twins();
    return epoch[at] !== 0 && this.#meets(shadow.global, epoch[at] as number, who[at] as number, lane);
  }

  /** `lane` becomes the writer; the one that stored the same before is kept beside it, but where the one kept already meets more. */
  #keepTwin(shadow: Shadow, at: number, lane: number): void {
    const { epoch, who, site } = shadow.twins();
    const known = epoch[at] as number;
    if (shadow.global && known !== 0 && known < this.#begin) return;
    const home = this.#subgroupOf((who[at] as number) % MOST_LANES);
    if (known === this.#epoch && home !== this.#subgroupOf(lane)) return;
    epoch[at] = shadow.writeEpoch[at] as number;
    who[at] = shadow.writeWho[at] as number;
    site[at] = shadow.writeSite[at] as number;
  }

  #subgroupOf(lane: number): number {
    return lane >= this.#threads ? lane - this.#threads : Math.floor(lane / this.#lanes);
  }

  #who(lane: number): number {
    return (this.#counts[this.#subgroupOf(lane)] as number) + lane;
  }

  /** Whether nothing orders an earlier access before one that `lane` makes now. */
  #meets(global: boolean, epoch: number, who: number, lane: number): boolean {
    if (epoch < this.#begin) return global;
    if (epoch < this.#epoch) return false;
    const earlier = who % MOST_LANES;
    if (earlier === lane) return false;
    const subgroup = this.#subgroupOf(lane);
    return !(this.#subgroupOf(earlier) === subgroup && who - earlier < (this.#counts[subgroup] as number));
  }

  #remember(shadow: Shadow, at: number, lane: number, site: number): void {
    const { readEpoch, readWho, readSite, otherEpoch, otherWho, otherSite } = shadow;
    const who = this.#who(lane);
    const epoch = readEpoch[at] as number;
    // A reader of an earlier workgroup meets every writer there can still be.
    if (shadow.global && epoch !== 0 && epoch < this.#begin) return;
    const known = readWho[at] as number;
    const reader = known % MOST_LANES;
    if (epoch !== this.#epoch || reader === lane) {
      if (epoch !== this.#epoch) otherEpoch[at] = 0;
      readEpoch[at] = this.#epoch;
      readWho[at] = who;
      readSite[at] = site;
      return;
    }
    const subgroup = this.#subgroupOf(lane);
    const home = this.#subgroupOf(reader);
    const second = (otherWho[at] as number) % MOST_LANES;
    if (otherEpoch[at] === this.#epoch && this.#subgroupOf(second) !== home) return;
    if (home === subgroup && known - reader < who - lane) {
      readWho[at] = who;
      readSite[at] = site;
      otherEpoch[at] = 0;
      return;
    }
    otherEpoch[at] = this.#epoch;
    otherWho[at] = who;
    otherSite[at] = site;
  }

  #tell(epoch: number, who: number, from: number, at: number, lane: number, site: number, write: boolean): void {
    this.#race({ epoch, lane: who % MOST_LANES, site: from }, at, lane, site, write);
  }
}
