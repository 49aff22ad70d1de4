/**
 * A case: one graph, one batch of inputs, and what is known about the right answers. Everything the validator runs is one,
 * wherever it comes from: golden data of a model, a layer of a collection, texts, or random tokens.
 */
import type { Graph } from '@espalier/ir';
import type { Encoding, Model, Tokenizer } from '@espalier/models';
import type { WatchedGraph } from '../compare/trees.ts';
import type { Tensor } from '../numbers.ts';

/** A tensor that is compared. */
export interface Item {
  /** As in reference data: `hidden_states.3`, `logits`, `mask_logits`, `y`. */
  readonly name: string;
  /** The graph's tensor. */
  readonly tensor: string;
  /** Whether it is what the model is for: its rows' argmax (`scores`) or direction (`vector`) is compared too. */
  readonly final: 'scores' | 'vector' | null;
}

/** What the original program computed, by item name; f64 where it was also run in float64. */
export interface Golden {
  /** The file, for reports. */
  readonly file: string;
  readonly single: ReadonlyMap<string, Tensor>;
  readonly double: ReadonlyMap<string, Tensor>;
  /** By tree label. */
  readonly routes: ReadonlyMap<string, { readonly nodes: Tensor; readonly scores: Tensor }>;
  /** By item name: how far the original's own float32 run is from its float64 run. */
  readonly lost: ReadonlyMap<string, number>;
  /** Recorded tensors that nothing here is compared with. */
  readonly uncompared: readonly string[];
}

/** A graph that one or more cases run, compiled once for each kind of target. */
export interface Subject {
  /** Unique within a run of the validator. */
  readonly id: string;
  readonly graph: Graph;
  readonly watched: WatchedGraph;
  /** Outputs a user of the model would ask for; what timing runs compute. */
  readonly finals: readonly string[];
  readonly model: Model | null;
}

export interface Case {
  /** Unique within a checkpoint: `golden`, `golden.nomask`, `texts`, `golden/ff_h32_i70_bias`. */
  readonly id: string;
  readonly subject: Subject;
  /** For people: where the inputs come from. */
  readonly title: string;
  readonly dims: Readonly<Record<string, number>>;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** In the order in which the graph computes them. */
  readonly items: readonly Item[];
  readonly golden: Golden | null;
  /** By item name: what float32 was recorded to cost this checkpoint's tensors on other inputs; absent where nothing was. */
  readonly lostElsewhere?: ReadonlyMap<string, number>;
  readonly text: {
    readonly texts: readonly string[];
    readonly encoding: Encoding;
    readonly tokenizer: Tokenizer;
  } | null;
  /** File (without target) that outputs are written to: cases of one collection share one. */
  readonly outputGroup: string;
  /** Put before names in that file: the layer's name in a collection. */
  readonly outputPrefix: string;
  /** Names of tensors in that file, when other than the item's: [name, shape] by item name. */
  readonly outputShapes: ReadonlyMap<string, readonly number[]>;
}

/** The cases of one checkpoint. */
export interface CheckpointCases {
  readonly name: string;
  /** As the user named it; "bundled" for ours. */
  readonly source: string;
  /** For people: "BERT, masked-lm, 4 layers of 128". */
  readonly description: string;
  readonly cases: readonly Case[];
}

/** Positions of asked rows, for graphs that have them. */
export const positionsOf = (one: Case): ArrayLike<number> | undefined => one.inputs.get('positions')?.data;
