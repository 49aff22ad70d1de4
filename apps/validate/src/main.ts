#!/usr/bin/env node
/** `pnpm validate`: see cli/help.ts. */
import { runCommand } from './cli/run.ts';

process.exitCode = await runCommand(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  environment: process.env,
});
