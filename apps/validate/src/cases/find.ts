/** From what was asked to the cases that run: the bundled models, or the checkpoints that were named. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, isLayerCollection, loadTokenizer, type Model, openCheckpoint } from '@espalier/models';
import { UsageError } from '../errors.ts';
import type { Case, CheckpointCases } from './case.ts';
import { collectionCases } from './collection-cases.ts';
import { type GoldenFile, goldenFilesIn, openGolden } from './golden-file.ts';
import { describeModel, goldenCase, type ModelSubjects, modelSubjects, randomCase, textCase } from './model-cases.ts';
import { ownTexts } from './texts.ts';

/** The models that come with Espalier. */
export const bundledModels = ['tiny-bert', 'tiny-ultrafastbert', 'tiny-ultrafastbert-spam'] as const;

/** Where they lie: `models/` of the repository, seen from `src/cases` and from `dist/cases`. */
export const bundledFolder = fileURLToPath(new URL('../../../../models/', import.meta.url));

/** What to look for. */
export interface Wanted {
  /** Folders, files or Hub ids; none: the bundled models. */
  readonly checkpoints: readonly string[];
  /** Golden files in place of those beside the checkpoint. */
  readonly golden: readonly string[];
  /** Texts in place of our own. */
  readonly texts: readonly string[];
  /** Called with each checkpoint before it is opened. */
  readonly onOpen?: (source: string) => void;
}

/** Finds all cases. Throws UsageError for what does not fit, CheckpointError for what cannot be opened. */
export async function findCases(wanted: Wanted): Promise<readonly CheckpointCases[]> {
  if (wanted.golden.length > 0 && wanted.checkpoints.length !== 1)
    throw new UsageError(
      'V007',
      `--golden with ${wanted.checkpoints.length} checkpoints`,
      'Name the one checkpoint that the golden data is of.',
    );
  const bundled = wanted.checkpoints.length === 0;
  const sources = bundled ? bundledModels.map((name) => join(bundledFolder, name)) : wanted.checkpoints;
  const found: CheckpointCases[] = [];
  for (const source of sources) {
    wanted.onOpen?.(source);
    const folder = await folderOf(source);
    const checkpoint = await openCheckpoint(folder);
    const paths = wanted.golden.length > 0 ? wanted.golden : await goldenFilesIn(checkpoint.folder);
    const golden = await Promise.all(paths.map(openGolden));
    found.push(casesOf(checkpoint, golden, wanted.texts, bundled, source));
  }
  return found;
}

/** A file of a golden folder stands for its folder: `…/golden.safetensors` cannot be a checkpoint. */
async function folderOf(source: string): Promise<string> {
  const isFile = (await stat(source).catch(() => undefined))?.isFile() === true;
  return isFile && /(^|\/)golden(\.[^/]*)?\.safetensors$/.test(source) ? dirname(source) : source;
}

function casesOf(
  checkpoint: Checkpoint,
  golden: readonly GoldenFile[],
  texts: readonly string[],
  bundled: boolean,
  source: string,
): CheckpointCases {
  const named = { name: checkpoint.name, source: bundled ? 'bundled' : source };
  if (isLayerCollection(checkpoint.config)) {
    if (texts.length > 0)
      throw new UsageError(
        'V004',
        `${checkpoint.name} is a collection of layers: it reads no text`,
        'Leave --text out.',
      );
    const cases = collectionCases(checkpoint, golden);
    return { ...named, description: `a collection of ${cases.length} layers`, cases };
  }
  const subjects = modelSubjects(checkpoint);
  const model = subjects.subject('all').model as Model;
  const cases = golden.map((file) => goldenCase(subjects, file));
  const { tokenizerJson, vocabTxt } = checkpoint.tokenizerFiles;
  const reads = tokenizerJson !== undefined || vocabTxt !== undefined;
  if (texts.length > 0 && !reads)
    throw new UsageError(
      'V004',
      `${checkpoint.name} has no tokenizer, so it cannot read --text`,
      'Put its tokenizer.json or vocab.txt beside config.json.',
    );
  if (reads && (texts.length > 0 || bundled || golden.length === 0))
    cases.push(...textCases(subjects, model, texts, bundled).map((one) => ({ ...one, lostElsewhere: lostBy(cases) })));
  if (cases.length === 0) cases.push(randomCase(subjects));
  return { ...named, description: describeModel(model), cases };
}

/** What float32 cost the tensors of golden cases, by item name; the most where several recorded it. */
function lostBy(cases: readonly Case[]): ReadonlyMap<string, number> {
  const lost = new Map<string, number>();
  for (const [name, loss] of cases.flatMap(({ golden }) => [...(golden?.lost ?? [])]))
    lost.set(name, Math.max(loss, lost.get(name) ?? 0));
  return lost;
}

function textCases(subjects: ModelSubjects, model: Model, given: readonly string[], bundled: boolean): readonly Case[] {
  const tokenizer = loadTokenizer(subjects.checkpoint);
  const masked = model.task === 'masked-lm' || model.task === 'pretraining';
  const own = ownTexts(model.task).map((text) => text.replaceAll('[MASK]', tokenizer.maskToken));
  // With several bundled models, a text is for those that can use it: the others keep their own.
  const usable = masked && bundled ? given.filter((text) => text.includes(tokenizer.maskToken)) : given;
  const texts = usable.length > 0 ? usable : own;
  // A classifier that averages over padding answers differently in a batch: each text alone.
  if (model.task === 'classification')
    return texts.map((text, i) =>
      textCase(subjects, tokenizer, [text], texts.length === 1 ? 'texts' : `texts.${i + 1}`),
    );
  return [textCase(subjects, tokenizer, texts, 'texts')];
}
