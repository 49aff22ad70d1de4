/**
 * What a half-written command line may go on with, in the protocol that shell scripts of @bomb.sh/tab (and cobra) speak: lines of
 * "word<tab>description", last ":directive". Options and commands are read from the program itself.
 */
import { readdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ShellCompDirective } from '@bomb.sh/tab';
import { stageNames } from '@espalier/codegen';
import { parseModule, standardLayerNames, standardSource } from '@espalier/ir';
import type { Argument, Command, Option } from 'commander';
import { measuringOptions } from '../commands/measure.ts';
import { firstSentence, layersIn, openingComment, type Parameters, parametersOf } from '../parameters.ts';
import { program } from '../program.ts';
import { findTargets, targets } from '../targets.ts';

interface Suggestion {
  readonly word: string;
  readonly says: string;
  /** More follows at once: no space after it. */
  readonly open?: boolean;
}

/** What the words before the one under the cursor say. */
interface Line {
  readonly command: Command;
  readonly positionals: readonly string[];
  readonly target: string | null;
  readonly cwd: string;
}

/**
 * The answer for the words after the program's name; the last is the one under the cursor, possibly empty. Never throws: what
 * cannot be completed has no suggestions.
 */
export async function answer(words: readonly string[], cwd: string): Promise<string> {
  const current = words.at(-1) ?? '';
  const found = await suggestionsFor(words.slice(0, -1), current, cwd).catch(() => []);
  const typed = current.startsWith('--') ? current.slice(current.indexOf('=') + 1 || 0) : current;
  const fitting = found.filter(({ word }) => word.startsWith(typed));
  const open = fitting.length > 0 && fitting.every((one) => one.open === true);
  const directive =
    ShellCompDirective.ShellCompDirectiveNoFileComp + (open ? ShellCompDirective.ShellCompDirectiveNoSpace : 0);
  return `${fitting.map(({ word, says }) => `${word}\t${says}\n`).join('')}:${directive}\n`;
}

const silent = { write: () => true };

async function suggestionsFor(before: readonly string[], current: string, cwd: string): Promise<readonly Suggestion[]> {
  const root = program({ out: silent, error: silent, environment: {}, cwd }, { code: 0 });
  const named = before.find((word) => !word.startsWith('-'));
  const command = root.commands.find((one) => one.name() === named);
  if (named === undefined && current.startsWith('-')) return optionsOf(root, root);
  if (named === undefined) return root.commands.map((one) => ({ word: one.name(), says: one.summary() }));
  if (command === undefined) return [];
  if (named === 'bench' || named === 'tune') return measuringSuggestions(named, before, current, cwd);
  const line = readLine(root, command, before, cwd);
  const optionOf = (word: string): Option | undefined =>
    [...command.options, ...root.options].find((option) => option.long === word || option.short === word);
  if (current.startsWith('--') && current.includes('=')) {
    const option = optionOf(current.slice(0, current.indexOf('=')));
    return option === undefined ? [] : valuesOf(option, current.slice(current.indexOf('=') + 1), line);
  }
  const pending = optionOf(before.at(-1) ?? '');
  if (pending?.required === true) return valuesOf(pending, current, line);
  if (current.startsWith('-')) return optionsOf(command, root);
  const argument = command.registeredArguments[line.positionals.length];
  return argument === undefined ? [] : argumentsOf(argument, current, cwd);
}

/** What `bench` and `tune` may go on with: options of their own, files after those that name one, and a layer to tune. */
async function measuringSuggestions(
  command: 'bench' | 'tune',
  before: readonly string[],
  current: string,
  cwd: string,
): Promise<readonly Suggestion[]> {
  if (current.startsWith('-')) return (await measuringOptions(command)).map((word) => ({ word, says: '' }));
  const last = before.at(-1) ?? '';
  if (['--out', '--tuning', '--from', '--record', '--json'].includes(last)) return paths(current, cwd, /\.json$/);
  if (last === '--html') return paths(current, cwd, /\.html$/);
  if (last === '--markdown') return paths(current, cwd, /\.md$/);
  return command === 'tune' && last === 'tune' ? standardLayers() : [];
}

function readLine(root: Command, command: Command, before: readonly string[], cwd: string): Line {
  const positionals: string[] = [];
  let target: string | null = null;
  for (let i = before.indexOf(command.name()) + 1; i < before.length; i++) {
    const word = before[i] ?? '';
    if (!word.startsWith('-')) {
      positionals.push(word);
      continue;
    }
    const option = [...command.options, ...root.options].find((one) => one.long === word || one.short === word);
    if (word.startsWith('--target=')) target = word.slice('--target='.length);
    if (option?.required !== true) continue;
    if (option.long === '--target') target = before[i + 1] ?? null;
    i++;
  }
  return { command, positionals, target, cwd };
}

const optionsOf = (command: Command, root: Command): readonly Suggestion[] =>
  [...new Set([...command.createHelp().visibleOptions(command), ...root.createHelp().visibleOptions(root)])]
    .filter((option) => option.long !== undefined && (command === root || option.long !== '--version'))
    .map((option) => ({ word: option.long ?? '', says: option.description }));

function argumentsOf(argument: Argument, current: string, cwd: string): readonly Suggestion[] {
  if (argument.argChoices !== undefined) return argument.argChoices.map((word) => ({ word, says: '' }));
  return [...standardLayers(), ...paths(current, cwd, /\.layer$/)];
}

const standardLayers = (): readonly Suggestion[] =>
  standardLayerNames.map((word) => ({ word, says: firstSentence(openingComment(standardSource(word))) }));

/** Functions that options may name. */
const functionNames = (): readonly string[] =>
  parseModule(standardSource('functions'), 'functions').items.map((item) => item.name.text);

/** Values of an option: the last one of a list that commas separate, with what stands before it. */
async function valuesOf(option: Option, current: string, line: Line): Promise<readonly Suggestion[]> {
  if (option.argChoices !== undefined) return option.argChoices.map((word) => ({ word, says: '' }));
  const prefix = current.slice(0, current.lastIndexOf(',') + 1);
  const given = prefix.split(',').map((part) => part.split('=')[0] ?? '');
  const last = current.slice(prefix.length);
  const listed = (values: readonly Suggestion[]): readonly Suggestion[] =>
    values
      .filter(({ word }) => !given.includes(word.replace(/=.*$/, '')))
      .map((value) => ({ ...value, word: prefix + value.word }));
  switch (option.attributeName()) {
    case 'target':
      return [
        ...listed(Object.entries(targets).map(([word, { says }]) => ({ word, says }))),
        // A target of one's own is a path, which begins like one.
        ...(/^[./]|\//.test(current) ? paths(current, line.cwd, /\.[cm]?[jt]s$/) : []),
      ];
    case 'after':
    case 'diff':
      return (await targetsOf(line)).flatMap(stageNames).map((word) => ({ word, says: '' }));
    case 'capability':
      return listed(
        (await targetsOf(line)).flatMap(({ name, defaults }) =>
          Object.entries(defaults).flatMap(([key, value]) =>
            typeof value === 'boolean' && last.startsWith(`${key}=`)
              ? ['true', 'false'].map((word) => ({ word: `${key}=${word}`, says: `${name}: ${value}` }))
              : [{ word: `${key}=`, says: `${name}: ${value}`, open: true }],
          ),
        ),
      );
    case 'dims':
      return listed((parametersIn(line)?.dims ?? []).map((dim) => ({ word: `${dim}=`, says: 'a size', open: true })));
    case 'option':
      return listed(
        Object.entries(parametersIn(line)?.options ?? {}).flatMap(([name, value]) =>
          typeof value === 'string' && last.startsWith(`${name}=`)
            ? functionNames().map((word) => ({ word: `${name}=${word}`, says: '' }))
            : [{ word: `${name}=`, says: String(value), open: true }],
        ),
      );
    case 'out':
      return paths(current, line.cwd, /$^/);
    case 'schedule':
    case 'tuning':
      return paths(current, line.cwd, /\.json$/);
    default:
      return [];
  }
}

/** The targets named on the line, or all where none is. */
async function targetsOf({ target, cwd }: Line): Promise<readonly (typeof targets)[string]['target'][]> {
  const known = Object.values(targets).map((one) => one.target);
  return target === null ? known : findTargets(target, cwd).catch(() => known);
}

/** Parameters of the layer on the line; of a file's first layer. */
function parametersIn({ positionals }: Line): Parameters | null {
  const [name = ''] = positionals;
  if (!standardLayerNames.includes(name)) return null;
  const [layer] = layersIn(parseModule(standardSource(name), name));
  return layer === undefined ? null : parametersOf(layer);
}

/** Folders and files that fit, as the current word writes them. */
function paths(current: string, cwd: string, files: RegExp): readonly Suggestion[] {
  const folder = current.endsWith('/') ? current.slice(0, -1) || '/' : dirname(current);
  const written = current.includes('/') ? current.slice(0, current.lastIndexOf('/') + 1) : '';
  const hidden = current.slice(written.length).startsWith('.');
  try {
    return readdirSync(resolve(cwd, folder), { withFileTypes: true })
      .filter(({ name }) => hidden || !name.startsWith('.'))
      .filter((entry) => (entry.isDirectory() ? entry.name !== 'node_modules' : files.test(entry.name)))
      .map((entry) => ({
        word: `${written}${entry.name}${entry.isDirectory() ? '/' : ''}`,
        says: '',
        open: entry.isDirectory(),
      }));
  } catch {
    return [];
  }
}
