/**
 * What can be wrong when a checkpoint is mapped to a graph, and when a model is fed and read. Part of the codes of `CheckpointError`,
 * range M1xx; each with its meaning and the way out when the thrower knows no better one.
 */
export const FAMILY_ERRORS = {
  M100: {
    title: 'unknown model family',
    hint: 'Supported are Hugging Face BERT ("bert"), crammedBERT / UltraFastBERT ("crammedBERT") and layer collections.',
  },
  M101: { title: 'impossible value in config.json', hint: 'Correct the value, or fetch config.json again.' },
  M102: {
    title: 'configuration not supported',
    hint: 'Use a checkpoint without that option; README.md lists what is supported.',
  },
  M103: {
    title: 'tensor missing',
    hint: 'Check that config.json belongs to these weights and that the file is complete.',
  },
  M104: {
    title: 'unexpected tensor',
    hint: 'Check that config.json belongs to these weights; rename or remove the tensor.',
  },
  M105: { title: 'tensor has the wrong shape', hint: 'Check that config.json belongs to these weights.' },
  M106: { title: 'tensor has the wrong type', hint: 'Convert it to F32, F16, BF16 or F64 and save again.' },
  M107: { title: 'tied tensors differ', hint: 'Save the model again from the original program, which ties them.' },
  M108: {
    title: 'the checkpoint cannot do that task',
    hint: 'Choose another task, or a checkpoint that was trained for it.',
  },
  M109: {
    title: 'labels and classes disagree',
    hint: 'Correct id2label in config.json: one label a class, ids from 0.',
  },
  M110: { title: 'input not acceptable', hint: 'Tokenise with the tokenizer of this checkpoint, and cut long texts.' },
  M111: { title: 'output not a number', hint: 'Validate the model layer by layer: a weight or a kernel is at fault.' },
} as const;
