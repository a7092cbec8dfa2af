#!/usr/bin/env node
// Starts Hawser on a Node that can run it. In a clone the sources run as they are (type stripping), or from the one file
// that `npm ci` made of them, until something is edited; an installed package runs its build. An older Node on the path
// hands over to the one that `npm ci` brought along.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isFresh, MADE_FROM } from './fresh.js';

const MINIMUM = [22, 19];
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const built = at('dist/src/main.js');
const source = at('src/main.ts');
const oneFile = at('node_modules/.cache/hawser/start.mjs');
const brought = at('node_modules/node/bin/node');
const entry = !existsSync(source) ? built : isFresh(oneFile, MADE_FROM.map(at)) ? oneFile : source;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const fits = major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);

if (fits) {
  // Half of a warm start was reading the same sources again. Beside the code, so that who writes there could change that
  // too; a folder that cannot be written only leaves the start as slow as it was.
  enableCompileCache(at('node_modules/.cache/hawser'));
  await import(entry);
} else if (existsSync(brought)) {
  const child = spawn(brought, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to the child as well; this process only waits for it and passes the rest on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
} else {
  process.stderr.write(
    `Hawser needs Node ${MINIMUM.join('.')} or newer; this is ${process.versions.node}.\n` +
      'Install a newer Node, or run `npm ci` in a clone, which brings one along.\n',
  );
  process.exitCode = 1;
}
