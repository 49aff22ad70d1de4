/**
 * What a checkpoint becomes: a graph, and what one must know to feed it and to read what it answers.
 */
import type { Graph } from '@espalier/ir';
import { CheckpointError } from '../errors.ts';
import type { TensorView } from '../safetensors/index.ts';

/**
 * - `encoder`: hidden states (and the pooler's output where the checkpoint has a pooler);
 * - `masked-lm`: a score for every word of the vocabulary;
 * - `classification`: a score for every class;
 * - `sentence-embedding`: the mean over unmasked positions, of length 1;
 * - `pretraining`: masked-lm, the pooler's output and the next-sentence scores (Hugging Face's BertForPreTraining).
 */
export type Task = 'encoder' | 'masked-lm' | 'classification' | 'sentence-embedding' | 'pretraining';

/** How `graphOf` maps a checkpoint. */
export interface GraphOptions {
  /** What to do with the model; default: what config.json's `architectures` says it was made for. */
  readonly task?: Task | 'embedding';
  /**
   * Where the masked-language-model head runs: at `all` positions (default), or only where `asked`: the graph then has one
   * more dim P and one more input `positions` i32 [P], indices into B·S, and `logits` is [P, V]. Tasks without that head have no such positions.
   */
  readonly mlmPositions?: 'all' | 'asked';
  /**
   * Which tensors are outputs of the graph. `final`: what the task is about. `states` (default): also `hidden_states.*`.
   * `all`: also `ffn.*.input` and `ffn.*.output`. Whatever is left out is still a tensor of the graph.
   */
  readonly outputs?: 'final' | 'states' | 'all';
}

/** What `graphOf` needs of a checkpoint; `Checkpoint` of this package is one. */
export interface CheckpointData {
  readonly name: string;
  /** Named in messages, with config.json in it. */
  readonly folder?: string;
  readonly config: unknown;
  readonly tensors: ReadonlyMap<string, TensorView>;
}

/** A node whose descent is worth looking at: a tree of neurons. */
export interface TreeNode {
  /** Index of the encoder layer, from 0. */
  readonly layer: number;
  /** Id of the node in the graph. */
  readonly node: string;
  /** The tensor it makes. Its trace is `fff.<layer>.nodes` and `fff.<layer>.logits` of reference data. */
  readonly tensor: string;
}

export interface Model {
  readonly name: string;
  readonly family: 'bert' | 'crammed-bert';
  readonly task: Task;
  /**
   * Dims B (batch), S (sequence length), and P (asked positions) with `mlmPositions: "asked"`. Inputs: `input_ids`,
   * `attention_mask` (1 keeps, 0 masks) and, for bert, `token_type_ids`, each i32 [B, S]; `positions` i32 [P] where asked.
   */
  readonly graph: Graph;
  /** Width of a hidden state. */
  readonly hidden: number;
  /** Number of encoder layers. */
  readonly layers: number;
  readonly heads: number;
  /** The longest sequence. */
  readonly maxPositions: number;
  /** Number of words; ids run from 0 to one less. */
  readonly vocabulary: number;
  /** Number of token types; 0 when the family has none. */
  readonly tokenTypes: number;
  readonly padId: number;
  readonly mlmPositions: 'all' | 'asked';
  /** For classification: the name of each class. */
  readonly labels?: readonly string[];
  /**
   * Names as in reference data → tensors of the graph: `hidden_states.0` … `hidden_states.<layers>`, `last_hidden_state`,
   * `ffn.<i>.input`, `ffn.<i>.output`, and by task `logits`, `pooler_output`, `seq_relationship_logits`,
   * `sentence_embedding`. Two names may mean one tensor (BERT's last hidden state is its last layer's).
   */
  readonly outputs: ReadonlyMap<string, string>;
  /** One for each layer whose feedforward block is a tree, in order. */
  readonly treeNodes: readonly TreeNode[];
  /** Tensors of the checkpoint that this task does not use, by their names in the file. */
  readonly ignored: readonly string[];
}

/** Where config.json is, for messages. */
export function configFile(checkpoint: CheckpointData): string {
  return checkpoint.folder === undefined ? `${checkpoint.name}/config.json` : `${checkpoint.folder}/config.json`;
}

/** The names that graph outputs have under `GraphOptions.outputs`, in the order of `outputs`, each tensor once. */
export function chosenOutputs(
  outputs: ReadonlyMap<string, string>,
  choice: GraphOptions['outputs'],
): readonly string[] {
  const wanted = [...outputs].filter(([name]) => {
    if (name.startsWith('hidden_states.')) return choice !== 'final';
    return name.startsWith('ffn.') ? choice === 'all' : true;
  });
  return [...new Set(wanted.map(([, tensor]) => tensor))];
}

/** One list of numbers for each graph input, row-major. */
export type ModelInputs = Readonly<Record<string, ArrayLike<number>>>;

/**
 * Checks inputs against what the model can take, before anything runs. A missing `attention_mask` keeps every position,
 * missing `token_type_ids` are 0; both are filled in.
 *
 * @param shape batch and sequence length
 * @returns the graph's inputs as i32, and its dims
 * @throws CheckpointError M110 naming the input, the element and the bound
 */
export function checkInputs(
  model: Model,
  shape: { readonly batch: number; readonly sequence: number },
  inputs: ModelInputs,
): { readonly inputs: Readonly<Record<string, Int32Array>>; readonly dims: Readonly<Record<string, number>> } {
  const { batch, sequence } = shape;
  const refuse = (detail: string, hint?: string): CheckpointError =>
    new CheckpointError('M110', detail, { file: model.name, hint });
  if (!Number.isInteger(batch) || !Number.isInteger(sequence) || batch < 1 || sequence < 1) {
    throw refuse(
      `a batch of ${batch} sequences of length ${sequence} is empty or impossible`,
      'Pass at least one token.',
    );
  }
  if (sequence > model.maxPositions) {
    throw refuse(
      `sequences of ${sequence} tokens, but the model has ${model.maxPositions} positions`,
      `Cut or split texts to ${model.maxPositions} tokens (the tokenizer's maxLength does it).`,
    );
  }
  const count = batch * sequence;
  const limits: Readonly<Record<string, number>> = {
    input_ids: model.vocabulary,
    attention_mask: 2,
    token_type_ids: Math.max(1, model.tokenTypes),
    positions: count,
  };
  // A model without token types ignores them, as the original does, so that one tokenizer call feeds every family.
  const stranger = Object.keys(inputs).find((name) => name !== 'token_type_ids' && !model.graph.inputs.includes(name));
  if (stranger !== undefined) {
    throw refuse(`the model has no input ${stranger}`, `Its inputs: ${model.graph.inputs.join(', ')}.`);
  }
  const result: Record<string, Int32Array> = {};
  for (const name of model.graph.inputs) {
    const given = inputs[name];
    if (given === undefined && (name === 'input_ids' || name === 'positions')) throw refuse(`${name} is missing`);
    const values = Int32Array.from(given ?? new Int32Array(count).fill(name === 'attention_mask' ? 1 : 0));
    if (name !== 'positions' && values.length !== count) {
      throw refuse(`${name} has ${values.length} elements, but ${batch} · ${sequence} = ${count} are needed`);
    }
    const limit = limits[name] as number;
    const bad = Array.from(given ?? []).findIndex((value) => !(Number.isInteger(value) && value >= 0 && value < limit));
    if (bad !== -1) {
      const where =
        name === 'positions' ? `${bad}` : `${bad} (sequence ${Math.floor(bad / sequence)}, position ${bad % sequence})`;
      throw refuse(`${name}: element ${where} is ${given?.[bad]}; it must be a whole number from 0 to ${limit - 1}`);
    }
    result[name] = values;
  }
  const asked = result['positions'];
  return { inputs: result, dims: { B: batch, S: sequence, ...(asked === undefined ? {} : { P: asked.length }) } };
}
