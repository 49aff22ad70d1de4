/**
 * What the simulator finds wrong: one record for each kind of mistake at each statement, with how often it happened, told so
 * that a person can go there: the place in the layer's source, the statement of the Kernel IR with the loops around it, the
 * workgroup and the lanes.
 */

export type FindingKind =
  /** An access outside its buffer. It reads NaN or 0, and writes nothing. */
  | 'out-of-bounds'
  /** A read of memory that nobody has written. It reads NaN or 0. */
  | 'unwritten-read'
  /** Two lanes at one element, one of them writing, with nothing that orders them. */
  | 'race'
  /** A barrier that only some lanes of its scope reach. The simulation goes on as if all had. */
  | 'divergent-barrier'
  /** A subgroup operation that only some lanes of the subgroup reach, or reach with indices that must agree and don't. */
  | 'divergent-subgroup'
  /** A shuffle from a lane that the subgroup does not have. It gives the lane's own value. */
  | 'shuffle-out-of-range'
  /** An integer division or remainder by zero. It gives 0. */
  | 'division-by-zero'
  /** A launch whose grid, scratch or bindings are not those that the kernel wants. */
  | 'wrong-launch';

/** A lane of a workgroup at a statement. */
export interface LanePlace {
  readonly workgroup: number;
  /** Index in the workgroup. */
  readonly lane: number;
  readonly statement: string;
}

export interface Finding {
  readonly kind: FindingKind;
  /** "k0". */
  readonly kernel: string;
  /** `Kernel.label`. */
  readonly label: string;
  /** In the layer's source, "linear.layer:3:1"; null where the kernel does not know it. */
  readonly place: string | null;
  /** The Kernel IR statement; of a loop or branch its head. Empty for a whole launch. */
  readonly statement: string;
  /** Heads of the loops and branches around it, outermost first. */
  readonly path: readonly string[];
  /** The workgroup (or grid step) where it happened first; null for a whole launch. */
  readonly workgroup: number | null;
  /** Lanes that did it, by their index in the workgroup: of a race the later one, of a barrier those that came. */
  readonly lanes: readonly number[];
  /** The other side of a race. */
  readonly other: LanePlace | null;
  readonly buffer: string | null;
  /** The element in the buffer's physical order. Null where that has no meaning. */
  readonly element: number | null;
  /** What happened, in a sentence, without where. */
  readonly message: string;
  /** How often, at this statement. */
  readonly times: number;
}

/** A statement that a finding can be about. */
export interface Site {
  readonly statement: string;
  readonly path: readonly string[];
  readonly buffer: string | null;
}

/** What is known of a finding besides its site and kernel. */
export type Detail = Pick<Finding, 'kind' | 'workgroup' | 'lanes' | 'message'> &
  Partial<Pick<Finding, 'other' | 'element'>>;

/** Collects findings: each mistake of a statement once, at most `limit` of them; all are counted. */
export class Findings {
  readonly #limit: number;
  readonly #kept = new Map<string, { finding: Finding; times: number }>();
  #total = 0;

  constructor(limit = 100) {
    this.#limit = limit;
  }

  /** How often something was wrong, kept or not. */
  get total(): number {
    return this.#total;
  }

  get list(): readonly Finding[] {
    return [...this.#kept.values()].map(({ finding, times }) => ({ ...finding, times }));
  }

  /** Counts what went wrong at `key`; makes a record of it the first time. */
  add(key: string, make: () => Finding): void {
    this.#total++;
    const known = this.#kept.get(key);
    if (known !== undefined) known.times++;
    else if (this.#kept.size < this.#limit) this.#kept.set(key, { finding: make(), times: 1 });
  }

  clear(): void {
    this.#kept.clear();
    this.#total = 0;
  }
}

const WIDEST = 160;
const shortened = (text: string): string => (text.length <= WIDEST ? text : `${text.slice(0, WIDEST - 2)} …`);

/** A finding for people, in a few lines. */
export function formatFinding(f: Finding): string {
  const where = f.workgroup === null ? '' : `, workgroup ${f.workgroup}, ${lanesText(f.lanes)}`;
  const lines = [`${f.kind}: ${f.message}`, `  in kernel ${f.kernel}${where}: ${f.label}`];
  if (f.place !== null) lines.push(`  from ${f.place}`);
  if (f.statement !== '') lines.push(`  at ${shortened(f.statement)}`);
  if (f.path.length > 0) lines.push(`  in ${f.path.map(shortened).join(' > ')}`);
  if (f.other !== null && f.other.statement !== f.statement) lines.push(`  against ${shortened(f.other.statement)}`);
  if (f.times > 1) lines.push(`  ${f.times} times`);
  return lines.join('\n');
}

/** "lane 3", "lanes 0, 1, 5 … 31". */
export function lanesText(lanes: readonly number[]): string {
  if (lanes.length === 1) return `lane ${lanes[0]}`;
  const runs: string[] = [];
  for (let i = 0; i < lanes.length; ) {
    let end = i;
    while (lanes[end + 1] === (lanes[end] as number) + 1) end++;
    runs.push(end - i > 1 ? `${lanes[i]} … ${lanes[end]}` : lanes.slice(i, end + 1).join(', '));
    i = end + 1;
  }
  return `lanes ${runs.join(', ')}`;
}
