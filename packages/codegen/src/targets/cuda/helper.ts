/** Functions that a printed text brings along: how they are written down, and how a text gets those it calls. */

/** One or a few functions of namespace espalier. */
export interface Helper {
  /** One instruction of the GPU, written as PTX: a compiler for the host brings its own. */
  readonly machine: boolean;
  /** Names of helpers that it calls. */
  readonly needs: readonly string[];
  readonly lines: readonly string[];
}

const INLINE = '__device__ __forceinline__';

/** A function of one PTX instruction: `template` with operands %0 (the result), %1 … in the order of `operands`. */
export const instruction = (
  head: string,
  result: readonly [type: string, constraint: string],
  template: string,
  ...operands: readonly string[]
): Helper => ({
  machine: true,
  needs: [],
  lines: [
    `${INLINE} ${result[0]} ${head} {`,
    `  ${result[0]} result;`,
    `  asm("${template};" : "=${result[1]}"(result) : ${operands.join(', ')});`,
    '  return result;',
    '}',
  ],
});

/** A function in C++; `head` includes the result's type. */
export const ordinary = (head: string, ...body: readonly string[]): Helper => ({
  machine: false,
  needs: [],
  lines:
    body.length === 1 && head.length + (body[0] ?? '').length < 90
      ? [`${INLINE} ${head} { ${body[0]} }`]
      : [`${INLINE} ${head} {`, ...body.map((l) => `  ${l}`), '}'],
});

export const needing = (needs: readonly string[], helper: Helper): Helper => ({ ...helper, needs });
export const templated = (parameters: string, helper: Helper): Helper => ({
  ...helper,
  lines: [`template <${parameters}>`, ...helper.lines],
});
/** Overloads, as one helper. */
export const together = (...parts: readonly Helper[]): Helper => ({
  machine: parts.some((p) => p.machine),
  needs: parts.flatMap((p) => p.needs),
  lines: parts.flatMap((p) => p.lines),
});

/** The helpers that a text calls, printed in the order of their table. */
export class Preamble {
  readonly #table: ReadonlyMap<string, Helper>;
  readonly #used = new Set<string>();
  readonly #made = new Map<string, Helper>();

  constructor(...tables: readonly Readonly<Record<string, Helper>>[]) {
    this.#table = new Map(tables.flatMap((t) => Object.entries(t)));
  }

  /** How a helper of the table is called; from now on the text has it. */
  use(name: string): string {
    const helper = this.#table.get(name);
    if (helper === undefined) throw new Error(`there is no helper ${name}`);
    this.#used.add(name);
    for (const need of helper.needs) this.use(need);
    return `espalier::${name}`;
  }

  /** Has a helper made for this text, once a `key`. */
  make(key: string, make: () => Helper): void {
    if (this.#made.has(key)) return;
    const helper = make();
    this.#made.set(key, helper);
    for (const need of helper.needs) this.use(need);
  }

  print(): readonly string[] {
    const all = [
      ...[...this.#table].filter(([name]) => this.#used.has(name)).map(([, h]) => h),
      ...this.#made.values(),
    ];
    if (all.length === 0) return [];
    const machine = all.filter((h) => h.machine).flatMap((h) => h.lines);
    const rest = all.filter((h) => !h.machine).flatMap((h) => h.lines);
    return [
      'namespace espalier {',
      ...(machine.length > 0
        ? ['#ifndef ESPALIER_HOST  // a compiler for the host brings its own', ...machine, '#endif']
        : []),
      ...rest,
      '}  // namespace espalier',
      '',
    ];
  }
}
