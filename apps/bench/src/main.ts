/** `pnpm bench`. */
import { benchCommand } from './cli.ts';

process.exitCode = await benchCommand(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  environment: process.env,
});
