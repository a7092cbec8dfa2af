/**
 * Takes away what a script has no use for, before the first one is loaded. The boundary is the process: no
 * environment, no files, no key, another user. This makes it hard to get at the network and at the runner by accident
 * or with a common trick.
 */
import { registerHooks } from 'node:module';
import util from 'node:util';
import { currentRun } from './run-state.ts';
import { ScriptError } from './script-error.ts';

/** Globals that functions keep; a list of what may stay, because Node adds new ones, and with `-e` every module. */
const KEPT = new Set([
  // The language.
  'Object', 'Function', 'Array', 'Number', 'parseFloat', 'parseInt', 'Infinity', 'NaN', 'undefined', 'Boolean', 'String',
  'Symbol', 'Date', 'Promise', 'RegExp', 'Error', 'AggregateError', 'EvalError', 'RangeError', 'ReferenceError',
  'SyntaxError', 'TypeError', 'URIError', 'SuppressedError', 'globalThis', 'JSON', 'Math', 'Intl', 'ArrayBuffer',
  'Atomics', 'Uint8Array', 'Int8Array', 'Uint16Array', 'Int16Array', 'Uint32Array', 'Int32Array', 'Float16Array',
  'Float32Array', 'Float64Array', 'Uint8ClampedArray', 'BigUint64Array', 'BigInt64Array', 'DataView', 'Map', 'BigInt',
  'Set', 'Iterator', 'WeakMap', 'WeakSet', 'WeakRef', 'Proxy', 'Reflect', 'FinalizationRegistry', 'decodeURI',
  'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'escape', 'unescape', 'eval', 'isFinite', 'isNaN',
  'DisposableStack', 'AsyncDisposableStack',
  // Node and the web: what computes.
  'global', 'Buffer', 'URL', 'URLSearchParams', 'URLPattern', 'TextEncoder', 'TextDecoder', 'AbortController',
  'AbortSignal', 'Event', 'EventTarget', 'CustomEvent', 'DOMException', 'structuredClone', 'queueMicrotask', 'atob',
  'btoa', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'performance',
  'Blob', 'File', 'FormData', 'Headers', 'Request', 'Response', 'ReadableStream', 'ReadableStreamDefaultReader',
  'ReadableStreamBYOBReader', 'ReadableStreamBYOBRequest', 'ReadableByteStreamController',
  'ReadableStreamDefaultController', 'TransformStream', 'TransformStreamDefaultController', 'WritableStream',
  'WritableStreamDefaultController', 'WritableStreamDefaultWriter', 'ByteLengthQueuingStrategy',
  'CountQueuingStrategy', 'TextEncoderStream', 'TextDecoderStream', 'CompressionStream', 'DecompressionStream',
  'Crypto', 'CryptoKey', 'SubtleCrypto',
  // Node's own Request looks for it; a port reaches nothing without a worker.
  'MessagePort', 'MessageChannel',
]); // prettier-ignore

/** Members of the real process that load code, give handles or end it; gone even for who finds the object. */
const PROCESS_TAKEN = [
  'binding', '_linkedBinding', 'dlopen', 'getBuiltinModule', '_rawDebug', '_debugProcess', '_debugEnd', '_startProfilerIdleNotifier',
  'kill', '_kill', 'abort', 'chdir', 'mainModule', 'execve', 'loadEnvFile', 'setuid', 'setgid', 'seteuid', 'setegid',
  'setgroups', 'initgroups', 'report', 'permission', '_getActiveHandles', '_getActiveRequests', 'getActiveResourcesInfo',
  'send', 'disconnect', 'channel', 'openStdin', 'stdin', 'stdout', 'stderr', 'setUncaughtExceptionCaptureCallback',
  'reallyExit', 'moduleLoadList', 'features', 'config', 'execPath', 'execArgv', 'argv', 'argv0', 'title', 'allowedNodeEnvironmentFlags',
]; // prettier-ignore

/** Closes the doors. `keep` are what the runner itself goes on using. */
export function lockDown(real: NodeJS.Process, scriptConsole: object, crypto: object, net: object): void {
  const goneText = 'is not there for functions';
  for (const name of Object.getOwnPropertyNames(globalThis)) if (!KEPT.has(name)) remove(globalThis, name);
  put(globalThis, 'crypto', (crypto as { webcrypto: unknown }).webcrypto);
  for (const name of PROCESS_TAKEN) remove(real, name);
  remove(crypto, 'setEngine');
  // `util` prints warnings and deprecations only; these two look into others.
  remove(util, 'getCallSites');
  remove(util, 'getSystemErrorMap');

  put(globalThis, 'process', scriptProcess(real));
  put(globalThis, 'console', scriptConsole);
  put(globalThis, 'fetch', () => {
    throw new ScriptError(
      'network_not_allowed',
      `fetch ${goneText}: use nango.get, nango.proxy or nango.uncontrolledFetch.`,
    );
  });

  // Sockets of the runner exist already; no other one connects or listens.
  const { Socket, Server } = net as { Socket: { prototype: object }; Server: { prototype: object } };
  const refuse = (): never => {
    throw new ScriptError('network_not_allowed', 'A function has no network of its own: use the methods of nango.');
  };
  put(Socket.prototype, 'connect', refuse);
  put(Server.prototype, 'listen', refuse);

  // Whatever still finds a loader gets nothing from it: neither Node's own modules nor files.
  registerHooks({
    resolve(name) {
      throw new ScriptError(
        'module_not_allowed',
        `import() and require of ${JSON.stringify(name)} are not there for functions.`,
      );
    },
  });
  // Frames of the runner and of Node are nobody's business, and `prepareStackTrace` hands out functions.
  Error.stackTraceLimit = 30;
}

function remove(from: object, name: string): void {
  try {
    if (!Reflect.deleteProperty(from, name)) put(from, name, undefined);
  } catch {
    // Not configurable: its value stays, and every call of it goes through Node's permissions.
  }
}

function put(into: object, name: string, value: unknown): void {
  Object.defineProperty(into, name, { value, writable: true, configurable: true, enumerable: false });
}

/** The part of `process` that libraries look at. */
function scriptProcess(real: NodeJS.Process): object {
  const none = (): object => made;
  const { hrtime } = real;
  const nextTick = real.nextTick.bind(real);
  const stream = { write: () => true, isTTY: false, on: none, once: none, end: none };
  const made: Record<string, unknown> = {
    env: {},
    argv: [],
    execArgv: [],
    version: real.version,
    versions: { node: real.versions.node },
    platform: real.platform,
    arch: real.arch,
    pid: 1,
    title: 'function',
    browser: false,
    release: { name: 'node' },
    stdout: stream,
    stderr: stream,
    cwd: () => '/',
    uptime: () => 0,
    nextTick,
    hrtime: Object.assign((before?: [number, number]) => hrtime.call(real, before), {
      bigint: () => hrtime.bigint(),
    }),
    emitWarning: () => undefined,
    exit() {
      const text = 'The function called process.exit, which is not there. Return, or throw an error.';
      const error = new ScriptError('script_internal_error', text);
      currentRun.getStore()?.fail(error);
      throw error;
    },
  };
  for (const name of ['on', 'once', 'off', 'addListener', 'removeListener', 'removeAllListeners', 'emit'])
    made[name] = none;
  return made;
}
