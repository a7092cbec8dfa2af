import assert from 'node:assert';
import buffer from 'node:buffer';
import crypto from 'node:crypto';
import events from 'node:events';
import path from 'node:path';
import querystring from 'node:querystring';
import stream from 'node:stream';
import * as streamPromises from 'node:stream/promises';
import * as streamWeb from 'node:stream/web';
import * as stringDecoder from 'node:string_decoder';
import url from 'node:url';
import util from 'node:util';
import zlib from 'node:zlib';
import { ActionError, ScriptError } from './script-error.ts';

/** Parts of Node that compute and reach nothing. */
const BUILTINS: Record<string, unknown> = {
  assert,
  buffer,
  crypto,
  events,
  path,
  querystring,
  stream,
  'stream/promises': streamPromises,
  'stream/web': streamWeb,
  string_decoder: stringDecoder,
  url,
  util,
  zlib,
  // Node's own would go on after the run.
  'timers/promises': {
    setTimeout: (ms: number, value: unknown) => util.promisify(setTimeout)(ms, value),
    setImmediate: (value: unknown) => util.promisify(setImmediate)(value),
  },
};

const define =
  (type: string) =>
  (definition: object): object => ({ type, ...definition });

/** What `nango` and `hawser/functions` are at run time; everything else of them is types. */
const FUNCTIONS = {
  createSync: define('sync'),
  createAction: define('action'),
  createOnEvent: define('onEvent'),
  ActionError,
};

const OWN = ['nango', 'hawser/functions', 'zod', 'zod/v4'];

/** Names that `require` knows; the guide and the error name them. */
export const ALLOWED_MODULES: readonly string[] = [...OWN, ...Object.keys(BUILTINS)];

/** `require` of a function. `loadZod` evaluates the package on first use. */
export function createRequire(loadZod: () => unknown): (name: unknown) => unknown {
  return (name) => {
    if (name === 'nango' || name === 'hawser/functions') return FUNCTIONS;
    if (name === 'zod' || name === 'zod/v4') return loadZod();
    const bare = typeof name === 'string' ? name.replace(/^node:/, '') : '';
    if (Object.hasOwn(BUILTINS, bare)) return BUILTINS[bare];
    throw new ScriptError(
      'module_not_allowed',
      `The function asks for the module ${JSON.stringify(name)}, which is not there. Allowed: ${ALLOWED_MODULES.join(', ')}. ` +
        'Bundle your own files into it; for HTTP use nango.get, nango.proxy or nango.uncontrolledFetch.',
    );
  };
}
