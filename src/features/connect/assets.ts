import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { StartupError } from '../../base/errors.ts';

/** The built browser files of the Connect page, kept in memory: three small files. */
export interface Assets {
  /** Hashed file name of an entry: `app.js`, `app.css`, `callback.js`. */
  nameOf(entry: 'app.js' | 'app.css' | 'callback.js'): string;
  get(name: string): Asset | undefined;
}

export interface Asset {
  type: string;
  content: Buffer;
  gzip: Buffer;
}

const TYPES: Record<string, string> = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
/** The same folder from the sources and from the compiled `dist/src`. */
const DEFAULT_DIR = fileURLToPath(import.meta.url).replace(
  /(\/dist)?\/src\/features\/connect\/assets\.[tj]s$/,
  '/web/connect/dist',
);

/** Reads the built files (`name-HASH.ext`). Errors: StartupError when they are not there. */
export function readAssets(dir: string = DEFAULT_DIR): Assets {
  const files = new Map<string, Asset>();
  const entries = new Map<string, string>();
  for (const name of listed(dir)) {
    const match = /^([a-z]+)-[A-Z0-9]+\.(js|css)$/.exec(name);
    if (match === null) continue;
    const content = readFileSync(join(dir, name));
    files.set(name, { type: TYPES[match[2] as string] as string, content, gzip: gzipSync(content) });
    entries.set(`${match[1]}.${match[2]}`, name);
  }
  for (const entry of ['app.js', 'app.css', 'callback.js']) {
    if (!entries.has(entry)) {
      throw new StartupError(`The Connect page is not built: ${entry} is missing.`, 'Run `node scripts/build-web.ts`.');
    }
  }
  return { nameOf: (entry) => entries.get(entry) as string, get: (name) => files.get(name) };
}

function listed(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // no folder is the same as an empty one: the caller says what is missing
  }
}
