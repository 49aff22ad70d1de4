/** The commands and their options, with the help that teaches them. What they do lies in commands/. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { ExitCode, Surroundings } from './surroundings.ts';
import { styleFor, wantsColour } from './terminal/style.ts';

/** The version in package.json. */
export const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string })
    .version;

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const LAYER = 'a layer of the standard library by its name (ff), or a file by its path (./mine.layer)';

/** Options that say how a layer is called. */
const layerOptions = (command: Command): Command =>
  command
    .option('--dims <list>', 'sizes, e.g. D=768,H=3072; those of weights are needed', collect)
    .option('--option <list>', "the layer's own options, e.g. activation=gelu_tanh", collect)
    .option('--without <list>', 'weights to leave out, e.g. b2', collect)
    .option('--storage <list>', 'how weights lie in memory, e.g. w1=f16', collect)
    .option('--layer <name>', 'which layer, where a file has several')
    .option('--trace', 'also output the routes that trees take');

/** Options that say how code is made. */
const codeOptions = (command: Command): Command =>
  command
    .option(
      '--capability <list>',
      'what the machine can do, e.g. relaxed-simd=false; `espalier targets` lists them',
      collect,
    )
    .addOption(
      new Option('--strategy <which>', 'best: by the shape of statements; generic: the plainest loops')
        .choices(['best', 'generic'])
        .default('best'),
    )
    .option('--schedule <file>', 'schedules by kernel, as JSON, in place of the defaults')
    .option(
      '--tuning <file>',
      'forms and capabilities that `espalier tune` found; "shipped": those shipped for this machine, if any',
    );

/** What a program ends with; commands set it. */
export interface Outcome {
  code: ExitCode;
}

/** The whole command line. Parsing throws CommanderError for help, version and mistakes, and what the commands throw. */
export function program(around: Surroundings, outcome: Outcome): Command {
  const root = new Command('espalier');
  const style = styleFor(wantsColour(around.out, around.environment));
  root
    .description('Compiles layers of neural networks, written in index notation, to WebAssembly, WGSL and CUDA.')
    .version(version(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .option('--debug', 'stack traces of errors')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => around.out.write(text),
      writeErr: (text) => around.error.write(text),
      getOutHelpWidth: () => Math.min(around.out.columns ?? 100, 100),
      getErrHelpWidth: () => Math.min(around.error.columns ?? 100, 100),
      getOutHasColors: () => style.coloured,
      getErrHasColors: () => wantsColour(around.error, around.environment),
      outputError: (text, write) => write(text.replace(/^error: /, 'U001: ')),
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: style.bold,
      styleCommandText: style.accent,
      styleSubcommandText: style.accent,
      styleOptionText: style.accent,
      styleArgumentText: style.accent,
    })
    .showHelpAfterError('(--help says how it is used)')
    .addHelpText(
      'after',
      `
Examples:
  espalier layers                                          what there is
  espalier explain fff --target wasm --dims D=8,O=8,trees=1,depth=3
  espalier compile ff --target wasm --dims D=768,H=3072,O=768 --out build
  source <(espalier completion bash)                       completion for this shell

Exit code: 0 done, 1 it could not be done or a check failed, 2 a mistake in the command line.`,
    );
  addCompile(root, around, outcome);
  addExplain(root, around, outcome);
  addSimulate(root, around, outcome);
  addLists(root, around, outcome);
  addMeasuring(root, around, outcome);
  addCompletion(root, around, outcome);
  return root;
}

function addCompile(root: Command, around: Surroundings, outcome: Outcome): void {
  const command = root
    .command('compile')
    .summary('write code, manifest and a typed module that loads them')
    .description('Compiles a layer for one target or several and writes what a runtime needs.')
    .argument('<layer>', LAYER)
    .option('--target <list>', 'wasm, wgsl, cuda, or ./file.ts#name for one of your own; several with commas')
    .option('--out <folder>', 'where the files go; with several targets, a folder for each in it');
  codeOptions(layerOptions(command))
    .option('--no-binding', 'leave out the typed TypeScript module')
    .option('--embed', 'put the code into the TypeScript module instead of reading it from beside')
    .option('--json', 'the report as JSON')
    .addHelpText(
      'after',
      `
Dims without a value stay open: they are sizes that a run may choose, such as the number of tokens T.

Examples:
  espalier compile ff --target wasm --dims D=768,H=3072,O=768 --out build
  espalier compile ff --target wgsl,cuda --dims D=64,H=256,O=64 --option activation=relu --storage w1=f16,w2=f16 --out build
  espalier compile ./mine.layer --target wasm --dims D=12 --capability relaxed-simd=false --out build --no-binding

The TypeScript module is used like this:
  import * as ff from './build/ff.ts';
  const layer = await ff.load(device, weights);
  const { y } = await layer.run({ x });`,
    )
    .action(async (layer: string, flags) => {
      outcome.code = await (await import('./commands/compile.ts')).compileCommand(layer, flags, around);
    });
}

function addExplain(root: Command, around: Surroundings, outcome: Outcome): void {
  const command = root
    .command('explain')
    .summary('show how a layer becomes code, pass by pass')
    .description(
      'Shows the layer, its kernels with their strategies and schedules, the Kernel IR as lowered, and the final text.',
    )
    .argument('<layer>', LAYER)
    .option('--target <list>', 'wasm, wgsl, cuda, or ./file.ts#name for one of your own')
    .option('--after <pass>', 'only the Kernel IR after this pass; `espalier targets` lists the passes')
    .option('--diff <pass>', 'only what this pass changes')
    .option('--all', 'the Kernel IR after every pass')
    .option('--kernel <name>', 'one kernel, e.g. k0')
    .option('--schedules', 'only the schedules, as a file that --schedule takes');
  codeOptions(layerOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  espalier explain fff --target cuda --dims D=8,O=8,trees=1,depth=3
  espalier explain ff --target wasm --dims D=64,H=256,O=64 --after schedule --kernel k1
  espalier explain ff --target wasm --dims D=64,H=256,O=64 --diff expand-math
  espalier explain ff --target wasm --dims D=64,H=256,O=64 --schedules > ff.schedule.json`,
    )
    .action(async (layer: string, flags) => {
      outcome.code = await (await import('./commands/explain.ts')).explainCommand(layer, flags, around);
    });
}

function addSimulate(root: Command, around: Surroundings, outcome: Outcome): void {
  const command = root
    .command('simulate')
    .summary('run the kernels of a lane machine here, and check every access')
    .description(
      'Runs a layer for GPUs on this machine, lane by lane, with random weights and inputs: reports races, memory that ' +
        'nobody wrote and accesses out of bounds, and compares the outputs with the float64 interpreter.',
    )
    .argument('<layer>', LAYER)
    .option('--target <list>', 'wgsl, cuda, or any other; several with commas')
    .option('--seed <number>', 'of the random numbers', '1')
    .option('--integers <list>', 'integers of a tensor lie below, e.g. ids=50 (2 unless told)', collect)
    .option('--json', 'the report as JSON');
  codeOptions(layerOptions(command))
    .addHelpText(
      'after',
      `
Every dim needs a value here; those that no weight needs stay open for the compiler, and have the value in the run.

Examples:
  espalier simulate ff --target wgsl --dims T=5,D=12,H=20,O=12
  espalier simulate embedding --target cuda --dims T=9,V=50,D=8 --integers ids=50 --seed 7`,
    )
    .action(async (layer: string, flags) => {
      outcome.code = await (await import('./commands/simulate.ts')).simulateCommand(layer, flags, around);
    });
}

function addLists(root: Command, around: Surroundings, outcome: Outcome): void {
  root
    .command('targets')
    .summary('list targets, their capabilities and passes')
    .description('Lists the targets with their capabilities (and what is assumed of them) and their passes.')
    .option('--json', 'as JSON')
    .action(async (flags) => {
      outcome.code = (await import('./commands/list.ts')).targetsCommand(flags, around);
    });
  root
    .command('layers')
    .summary('list the layers of the standard library')
    .description('Lists the layers of the standard library with their parameters; of one layer, shows its text.')
    .argument('[layer]', 'a layer whose text is wanted')
    .option('--json', 'as JSON')
    .action(async (layer: string | undefined, flags) => {
      outcome.code = await (await import('./commands/list.ts')).layersCommand(layer, flags, around);
    });
}

/** Commands of a package that is not this one's dependency; their options and help are their own. */
function addMeasuring(root: Command, around: Surroundings, outcome: Outcome): void {
  const commands = [
    ['bench', 'time generated kernels beside their peers', 'benchCommand'],
    ['tune', 'find the fastest forms of a layer on this machine', 'tuneCommand'],
  ] as const;
  for (const [name, summary, command] of commands)
    root
      .command(name)
      .summary(summary)
      .description(`${summary}. Needs the package @espalier/app-bench; \`espalier ${name} --help\` is its own.`)
      .argument('[options...]', 'options of its own')
      .allowUnknownOption()
      .helpOption(false)
      .action(async (_options, _flags, { args }: Command) => {
        outcome.code = await (await import('./commands/measure.ts')).measuring(command, args, around);
      });
}

/** The shells there is completion for. */
export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;

function addCompletion(root: Command, around: Surroundings, outcome: Outcome): void {
  const command = root
    .command('completion')
    .summary('print a script that completes commands in your shell')
    .description('Prints a script for your shell: commands, options, layers, targets, passes and dims are completed.')
    .addHelpText(
      'after',
      `
For this shell only, and for good:
  bash        source <(espalier completion bash)            in ~/.bashrc
  zsh         source <(espalier completion zsh)             in ~/.zshrc, after compinit
  fish        espalier completion fish | source             in ~/.config/fish/config.fish
  powershell  espalier completion powershell | Out-String | Invoke-Expression   in $PROFILE`,
    );
  command
    .addArgument(command.createArgument('<shell>', 'which shell').choices(shells))
    .action(async (shell: (typeof shells)[number]) => {
      around.out.write(await (await import('./completion/script.ts')).completionScript(shell, root.name()));
      outcome.code = 0;
    });
}
