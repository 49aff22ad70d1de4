#!/usr/bin/env node
/** `pnpm replay`: see arguments.ts. */
import { fileURLToPath } from 'node:url';
import { replay } from './run.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const { NO_COLOR = '', FORCE_COLOR } = process.env;

// `replay | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await replay(process.argv.slice(2), {
  out: process.stdout,
  error: process.stderr,
  coloured: NO_COLOR === '' && (FORCE_COLOR === undefined ? process.stdout.isTTY === true : FORCE_COLOR !== '0'),
  repository: root,
  installed: root,
  cwd: process.cwd(),
});
