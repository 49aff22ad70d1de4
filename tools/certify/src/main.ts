/** The command inside the bundle: `./certify` starts it with the folder it lies in. */
import { certify, EXIT, runStage } from './certify.ts';
import { HELP, parseOptions, UsageError } from './options.ts';

/** How long a stage's process may take to end by itself. */
const PATIENCE_MILLISECONDS = 10_000;

const [root = '.', ...args] = process.argv.slice(2);
try {
  const options = parseOptions(args, root);
  if (options === undefined) process.stdout.write(HELP);
  else if (options.stage !== undefined) {
    const code = await runStage(options.stage, options);
    process.exitCode = code;
    // A driver's threads may hold the process; where nothing does, this is not waited for.
    setTimeout(() => process.exit(code), PATIENCE_MILLISECONDS).unref();
  } else
    process.exitCode = await certify(options, process.argv.slice(1), (line) => void process.stdout.write(`${line}\n`));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${HELP}`);
  process.exitCode = EXIT.usage;
}
