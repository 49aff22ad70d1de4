/** From a checkpoint to a graph: the model families, and collections of single layers. */
import { CheckpointError } from '../errors.ts';
import { kindOf } from '../json.ts';
import { bertModel } from './bert.ts';
import { type ConfigSection, configSection, shown } from './config.ts';
import { crammedModel } from './crammed.ts';
import { isLayerCollection } from './layer-collections.ts';
import { type CheckpointData, configFile, type GraphOptions, type Model } from './model.ts';

export { isLayerCollection, type LayerKind, type LayerModel, layerModels } from './layer-collections.ts';
export {
  type CheckpointData,
  checkInputs,
  type GraphOptions,
  type Model,
  type ModelInputs,
  type Task,
  type TreeNode,
} from './model.ts';
export { sinusoidTable } from './sinusoid.ts';

type Family = (checkpoint: CheckpointData, config: ConfigSection, options: GraphOptions) => Model;

/** By config.json's `model_type`. */
const FAMILIES: Readonly<Record<string, Family>> = { bert: bertModel, crammedBERT: crammedModel };

const TASKS: ReadonlySet<string> = new Set<NonNullable<GraphOptions['task']>>([
  'encoder',
  'masked-lm',
  'classification',
  'sentence-embedding',
  'embedding',
  'pretraining',
]);

/**
 * Maps a checkpoint to a graph, checked name by name and shape by shape. Weights become float32; no file is read.
 *
 * @throws CheckpointError M100 for another family, M101 and M102 for config.json, M103…M107 for tensors, M108 for a task the
 * checkpoint cannot do, M109 for labels
 */
export function graphOf(checkpoint: CheckpointData, options: GraphOptions = {}): Model {
  const config = configSection(checkpoint.config, configFile(checkpoint));
  if (options.task !== undefined && !TASKS.has(options.task)) {
    const hint = `Tasks: ${[...TASKS].join(', ')}.`;
    throw new CheckpointError('M108', `there is no task ${shown(options.task)}`, { file: checkpoint.name, hint });
  }
  const type = config.raw('model_type');
  const family = typeof type === 'string' && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (family !== undefined) return family(checkpoint, config, options);
  if (isLayerCollection(checkpoint.config)) {
    throw config.error('M100', 'model_type', `is ${shown(type)}, a collection of layers`, 'Use layerModels for it.');
  }
  throw config.error('M100', 'model_type', `is ${kindOf(type)}; supported are ${Object.keys(FAMILIES).join(', ')}`);
}
