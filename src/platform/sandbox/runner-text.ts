import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { frameOf } from './frames.ts';

const TEXT_BYTES_MAX = 32 * 1024 * 1024;

/**
 * What `node -e` runs in the child: takes the program from the pipe, so that the process needs no right to read a file
 * and no path that its user may pass through.
 */
export const BOOT = `
const fs = require('node:fs'), vm = require('node:vm'), net = require('node:net'), real = process, builtin = require;
const read = (length) => {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const got = fs.readSync(3, bytes, at, length - at, null);
    if (got === 0) real.exit(0);
    at += got;
  }
  return bytes;
};
const text = () => read(read(4).readUInt32BE(0)).toString();
const load = (code, filename) => {
  const module = { exports: {} };
  vm.compileFunction(code, ['exports', 'require', 'module'], { filename }).call(module.exports, module.exports, builtin, module);
  return module.exports;
};
const main = load(text(), 'hawser-runner'), zodText = text();
let zod;
// Later, because Node puts \`module\` among the globals when this text has ended.
setImmediate(() => main.start(real, net, () => (zod ??= load(zodText, 'zod'))));
`;

let made: Promise<Buffer> | undefined;

/** The frames that {@link BOOT} reads; made once per process of ours. Errors: of the bundler. */
export function runnerFrames(): Promise<Buffer> {
  made ??= make().catch((error: unknown) => {
    made = undefined;
    throw error;
  });
  return made;
}

async function make(): Promise<Buffer> {
  const source = new URL('./build-runner.ts', import.meta.url);
  const script = fileURLToPath(import.meta.url.endsWith('.ts') ? source : source.href.replace(/\.ts$/, '.js'));
  const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', script], {
    env: {},
    maxBuffer: TEXT_BYTES_MAX,
  });
  const { main, zod } = JSON.parse(stdout) as { main: string; zod: string };
  return Buffer.concat([frameOf(main), frameOf(zod)]);
}
