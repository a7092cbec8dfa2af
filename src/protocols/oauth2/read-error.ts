import { cleanCode, cleanText } from './clean.ts';
import { atPath } from './parse-body.ts';

export interface ProviderError {
  /** As the provider wrote it: for comparing only, never for showing. */
  rawCode: string | undefined;
  /** Cleaned, at most 100 characters. */
  error: string | undefined;
  /** Cleaned, at most 300 characters. */
  description: string | undefined;
}

const CODE = /^[A-Za-z0-9_.:-]{1,64}$/;

/**
 * Finds what a provider says about a failure: `error` as text, object or list, then `errors[]`, then `message`;
 * `error_description` beside any of them.
 * Source: RFC 6749 5.2; providers.md 1.5, 1.10, 3.6 for the other shapes.
 */
export function readError(data: Record<string, unknown>, secrets: readonly string[]): ProviderError {
  const found = fromAny(atPath(data, 'error')) ?? fromAny(atPath(data, 'errors')) ?? {};
  const rest = [atPath(data, 'error_description'), atPath(data, 'error_message'), atPath(data, 'message')];
  const description = [...rest, found.text].find((item): item is string => typeof item === 'string' && item !== '');
  const numeric = atPath(data, 'code');
  const code =
    found.code ??
    (typeof numeric === 'string' || typeof numeric === 'number' ? String(numeric) : undefined) ??
    undefined;
  return {
    rawCode: code,
    error: cleanCode(code ?? (description === undefined ? undefined : description), secrets),
    description: cleanText(description === code ? undefined : description, secrets),
  };
}

interface Found {
  code?: string;
  text?: string;
}

function fromAny(value: unknown): Found | undefined {
  if (typeof value === 'string') return value === '' ? undefined : fromText(value);
  if (typeof value === 'number') return { code: String(value) };
  if (Array.isArray(value)) {
    for (const item of value.slice(0, 10)) {
      const found = fromAny(item);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (typeof value === 'object' && value !== null) return fromObject(value);
  return undefined;
}

function fromText(text: string): Found {
  return CODE.test(text) ? { code: text } : { code: text, text };
}

function fromObject(value: object): Found | undefined {
  const text = firstText(value, ['error_description', 'message', 'detail', 'description', 'title']);
  const code = firstText(value, ['type', 'code', 'error', 'error_code', 'status']);
  if (code !== undefined) return { code, ...(text === undefined ? {} : { text }) };
  if (text !== undefined) return fromText(text);
  // `{field: ["sentence"]}`: the first field that says something.
  for (const item of Object.values(value).slice(0, 10)) {
    if (typeof item === 'string' || Array.isArray(item)) {
      const found = fromAny(item);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function firstText(value: object, names: string[]): string | undefined {
  for (const name of names) {
    const item = atPath(value, name);
    if (typeof item === 'string' && item !== '') return item;
    if (typeof item === 'number') return String(item);
  }
  return undefined;
}
