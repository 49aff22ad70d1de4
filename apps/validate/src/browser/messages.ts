/** What this process asks of a page, and the answers. Arrays travel beside these, in the order in which they are named here. */
import type { StorageType } from '@espalier/artefact';

export type Call =
  | { readonly kind: 'open'; readonly engine: Engine }
  /** Arrays: the graph's file, then the weights. */
  | {
      readonly kind: 'load';
      readonly id: number;
      readonly poison: boolean;
      readonly prepared: number | null;
      readonly weights: readonly {
        readonly name: string;
        readonly storage: StorageType;
        readonly shape: readonly number[];
      }[];
    }
  /** Arrays: the inputs. */
  | {
      readonly kind: 'run';
      readonly id: number;
      readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] | null }[];
      readonly dims: Readonly<Record<string, number>> | null;
      readonly keep: readonly string[] | 'all';
    }
  | { readonly kind: 'free'; readonly id: number };

/** What a page computes with. */
export type Engine = 'wasm' | 'webgpu';

export interface Opened {
  readonly target: string;
  readonly name: string;
  readonly capabilities: Readonly<Record<string, boolean | number | string>>;
}

export interface Loaded {
  readonly weights: number;
  readonly arenas: number;
}

/** Arrays: the tensors. */
export interface Ran {
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly memory: Loaded;
}

/** The answer to a call, or why there is none. */
export type Answer =
  | { readonly error: null; readonly result: Opened | Loaded | Ran | null }
  | { readonly error: { readonly message: string; readonly code: string | null }; readonly result: null };
