import type { OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import { cleanCode, cleanText } from './clean.ts';

export type Callback = {
  state?: string;
  /** The server that answers (RFC 9207); check it with `issuerProblem`. */
  iss?: string;
  /** Values for `connection_config`; check them with `checkFields` before they are stored. */
  metadata: Record<string, string>;
} & (
  | { kind: 'code'; code: string }
  | { kind: 'refused'; error: string; description?: string }
  /** Neither a code nor an error, or one of them twice. */
  | { kind: 'incomplete' }
);

/** Far above any code seen; a longer one is no code. */
const CODE_CHARS_MAX = 8192;
const METADATA_CHARS_MAX = 1024;

/**
 * Reads the query of the redirect back. An `error` wins over a code; a parameter given twice is never trusted.
 * Source: RFC 6749 4.1.2, 4.1.2.1, 3.1 ("MUST NOT be included more than once").
 */
export function readCallback(oauth2: OAuth2Spec, query: URLSearchParams): Callback {
  const spec = oauth2.callback;
  const state = once(query, spec.state ?? 'state');
  const iss = once(query, 'iss');
  const metadata: Record<string, string> = {};
  for (const name of spec.metadata ?? []) {
    const value = once(query, name);
    if (value !== undefined && value.length <= METADATA_CHARS_MAX) metadata[name] = value;
  }
  const base = { ...(state === undefined ? {} : { state }), ...(iss === undefined ? {} : { iss }), metadata };

  const stateTwice = query.getAll(spec.state ?? 'state').length > 1;
  const error = query.get('error');
  if (error !== null && error !== '') {
    const description = cleanText(query.get('error_description') ?? undefined);
    return {
      ...base,
      kind: 'refused',
      error: cleanCode(error) ?? 'error',
      ...(description === undefined ? {} : { description }),
    };
  }
  const code = once(query, spec.code ?? 'code');
  // A code is VSCHAR (RFC 6749 A.11): anything else was tampered with.
  if (code === undefined || stateTwice || code.length > CODE_CHARS_MAX || !/^[\x20-\x7e]+$/.test(code)) {
    return { ...base, kind: 'incomplete' };
  }
  return { ...base, kind: 'code', code };
}

/** The names under which a state may come back, over a set of providers: the flow is looked up before its provider is known. */
export function callbackStateNames(specs: Iterable<{ oauth2?: OAuth2Spec }>): string[] {
  const names = new Set(['state']);
  for (const spec of specs) if (spec.oauth2?.callback.state !== undefined) names.add(spec.oauth2.callback.state);
  return [...names];
}

/** The value of a parameter that occurs exactly once and is not empty. */
function once(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  return values.length === 1 && values[0] !== '' ? values[0] : undefined;
}
