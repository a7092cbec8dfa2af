import { SourceMap } from 'node:module';
import type { ScriptFailure } from '../model.ts';
import { ActionError, ScriptAbort, ScriptError } from './script-error.ts';

const STACK_CHARS_MAX = 8_000;
const MESSAGE_CHARS_MAX = 4_000;

/** Makes the failure of whatever a script threw (wire contract F.6). Never throws itself. */
export function failureOf(thrown: unknown, mapStack: (stack: string) => string): ScriptFailure {
  try {
    return describe(thrown, mapStack);
  } catch {
    // A getter or proxy of the thrown value threw in its turn.
    return internal('Error', 'The function threw a value that cannot be read. Throw an Error.', undefined);
  }
}

function describe(thrown: unknown, mapStack: (stack: string) => string): ScriptFailure {
  const stack = thrown instanceof Error && typeof thrown.stack === 'string' ? mapStack(thrown.stack).slice(0, STACK_CHARS_MAX) : undefined; // prettier-ignore
  if (thrown instanceof ScriptAbort) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof ActionError) {
    return { code: 'action_script_runtime_error', message: cut(thrown.message), payload: plain(thrown.payload), stack };
  }
  if (thrown instanceof ScriptError) {
    const { code, message, payload, upstream } = thrown;
    return { code, message, ...(payload !== undefined && { payload }), ...(upstream && { upstream }), stack };
  }
  if (isAxiosLike(thrown)) return httpFailure(thrown, stack);
  if (!(thrown instanceof Error)) {
    return internal('Error', `The function threw ${said(thrown)} instead of an Error. Throw an Error or nango.ActionError.`, stack); // prettier-ignore
  }
  const { code } = thrown as { code?: unknown };
  if (code === 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING') {
    return { code: 'module_not_allowed', message: 'import() is not there for functions. Use import at the top, so that it is bundled.', stack }; // prettier-ignore
  }
  const hint = thrown instanceof EvalError ? ': eval and new Function are not there for functions' : '';
  return internal(String(thrown.name), cut(`${String(thrown.message)}${hint}`), stack);
}

function internal(name: string, message: string, stack: string | undefined): ScriptFailure {
  return { code: 'script_internal_error', message, payload: { name, message, stacktrace: linesOf(stack) }, stack };
}

interface AxiosLike {
  name?: unknown;
  code?: unknown;
  message?: unknown;
  response?: { status?: unknown; headers?: unknown; data?: unknown };
}

function isAxiosLike(thrown: unknown): thrown is AxiosLike {
  return typeof thrown === 'object' && thrown !== null && 'isAxiosError' in thrown && thrown.isAxiosError === true;
}

function httpFailure(thrown: AxiosLike, stack: string | undefined): ScriptFailure {
  const message = cut(String(thrown.message));
  if (thrown.response === undefined || thrown.response === null) {
    const payload = { name: thrown.name, code: thrown.code, message, stacktrace: linesOf(stack) };
    return { code: 'script_network_error', message, payload, stack };
  }
  const status = Number(thrown.response.status);
  const headers = Object.entries((thrown.response.headers ?? {}) as Record<string, unknown>)
    .map(([name, value]) => [name.toLowerCase(), String(value)] as const)
    .filter(([name]) => name === 'content-type' || name === 'retry-after' || name.startsWith('x-rate'));
  const upstream = { status, headers: Object.fromEntries(headers), body: plain(thrown.response.data) };
  return { code: 'script_http_error', message: `The provider answered ${status}: ${message}`, upstream, stack };
}

const linesOf = (stack: string | undefined): string[] => (stack ?? '').split('\n').filter((line) => line !== '');
const cut = (text: string): string => (text.length > MESSAGE_CHARS_MAX ? `${text.slice(0, MESSAGE_CHARS_MAX)}…` : text);
const PLAIN_CHARS_MAX = 256 * 1024;

/** A value as JSON data; a sentence where it has none or is too large to keep with a failure. */
function plain(value: unknown): unknown {
  if (value === undefined) return undefined;
  try {
    const json = JSON.stringify(value);
    if (json === undefined) return undefined;
    return json.length > PLAIN_CHARS_MAX ? `${json.slice(0, 1_000)}… (${json.length} characters)` : JSON.parse(json);
  } catch {
    return 'a value that has no JSON'; // circular, BigInt, too deep
  }
}

function said(thrown: unknown): string {
  if (typeof thrown === 'string') return `the text ${JSON.stringify(cut(thrown))}`;
  if (thrown === undefined || thrown === null) return String(thrown);
  if (typeof thrown !== 'object') return `a ${typeof thrown} (${cut(String(thrown))})`;
  return `an object (${cut(JSON.stringify(plain(thrown)))})`;
}

const MAP = /\/\/# sourceMappingURL=data:application\/json[^,]*;base64,([A-Za-z0-9+/=]+)\s*$/;

/** What follows the name of a file in a stack. */
const PLACE = /^:(\d{1,9}):(\d{1,9})/;

/** Puts the lines of the TypeScript source into stacks of this bundle, and leaves out those of the runner. */
export function stackMapper(file: string, code: string): (stack: string) => string {
  let map: SourceMap | undefined | null;
  const load = (): SourceMap | undefined => {
    if (map === undefined) {
      const [, encoded] = MAP.exec(code.slice(code.lastIndexOf('//# sourceMappingURL='))) ?? [];
      try {
        map = encoded === undefined ? null : new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()));
      } catch {
        map = null; // a broken map costs the mapping, not the message
      }
    }
    return map ?? undefined;
  };
  const mapped = (text: string, line: string, column: string): string => {
    const entry = load()?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return `${file}${text}`;
    return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  return (stack) =>
    stack
      .split('\n')
      .filter((line) => !/^\s+at /.test(line) || line.includes(file))
      .join('\n')
      .split(file)
      .map((part, index) => {
        if (index === 0) return part;
        const replaced = part.replace(PLACE, mapped);
        return replaced === part ? `${file}${part}` : replaced;
      })
      .join('');
}
