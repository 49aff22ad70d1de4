/** Sentences of our own, for checkpoints that can read: a few for each task, so that real tokens take real routes. */
import type { Task } from '@espalier/models';

const masked: readonly string[] = [
  'The river ran past the old [MASK] and into the sea.',
  'He asked the [MASK] to open the window because it was hot.',
  'In the spring the trees in the garden are [MASK].',
];

const mails: readonly string[] = [
  'Make money fast! You are our lucky winner: claim your free prize now, click here. This offer ends today, act now!',
  'Hi, I have put the notes of our meeting on the server. Could you check the second page and tell me if the numbers are right?',
];

const sentences: readonly string[] = [
  'The tree in the garden has lost its leaves.',
  'In autumn the leaves fall from the trees.',
  'The committee will vote on the new budget tomorrow.',
];

/** Texts that show what a model of this task does. The mask is written `[MASK]`. */
export function ownTexts(task: Task): readonly string[] {
  switch (task) {
    case 'masked-lm':
    case 'pretraining':
      return masked;
    case 'classification':
      return mails;
    case 'encoder':
    case 'sentence-embedding':
      return sentences;
  }
}
