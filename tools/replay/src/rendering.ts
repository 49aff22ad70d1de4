/** What a rendering is: the corpus that is rendered, and what comes out of it. Plain JSON, since it crosses processes. */

/** A layer at fixed sizes. */
export interface Case {
  /** "ff D=24 H=40 O=24": unique, and what people read. */
  readonly id: string;
  /** The name of a standard layer, or null where `text` holds one of its own. */
  readonly standard: string | null;
  readonly text: string | null;
  readonly dims: Readonly<Record<string, number>>;
}

export interface RenderedKernel {
  readonly name: string;
  readonly strategy: string;
  readonly statements: string;
  /** The kernel alone, in the target's language. */
  readonly text: string;
  /** Size expressions of its launch, as text. */
  readonly flops: string;
  readonly grid: string;
  readonly scratch: string;
  /** For which sizes it runs; empty for all. */
  readonly when: string;
  readonly workgroup: string;
}

/** A case for one target, with one strategy and one set of capabilities. */
export interface Rendering {
  readonly case: string;
  readonly target: string;
  /** File extension of the target's text. */
  readonly extension: string;
  readonly strategy: string;
  /** What differs from the target's default capabilities: "f16=true"; empty for the defaults. */
  readonly variant: string;
  readonly kernels: readonly RenderedKernel[];
  /** The manifest without its checksum, as JSON of many lines; empty where there is an error. */
  readonly manifest: string;
  /** What the compiler said when it refused; else null. */
  readonly error: string | null;
}

/** "ff D=24 · wgsl · generic · f16=true". */
export const keyOf = (r: Rendering): string =>
  [r.case, r.target, r.strategy, r.variant].filter((part) => part !== '').join(' · ');
