import { inboundErrors } from './errors.ts';

/** How a body is read: decides how it is passed on. */
export type BodyKind = 'json' | 'form' | 'text';

export interface ParsedBody {
  kind: BodyKind;
  value: unknown;
}

/** Reads JSON within the limits of the edge; throws on everything else. */
export type JsonReader = (text: string) => unknown;

const FIELDS_MAX = 1_000;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a body: JSON when it says so or looks like it, a form when it says so, else text.
 * Errors: `webhook_invalid_payload`, whose sentence never repeats the body.
 */
export function parseWebhook(readJson: JsonReader, raw: Buffer, contentType: string): ParsedBody {
  const text = decode(raw);
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) return { kind: 'form', value: parseForm(text) };
  if (/\bjson\b/i.test(contentType) ? text.trim() !== '' : /^\s*[[{]/.test(text)) {
    try {
      return { kind: 'json', value: readJson(text) };
    } catch (cause) {
      throw inboundErrors.fail('webhook_invalid_payload', { cause });
    }
  }
  return { kind: 'text', value: text };
}

function decode(raw: Buffer): string {
  try {
    return utf8.decode(raw);
  } catch (cause) {
    throw inboundErrors.fail('webhook_invalid_payload', { cause });
  }
}

/** A name that comes several times has a list of values. */
function parseForm(text: string): Record<string, string | string[]> {
  const fields = Object.create(null) as Record<string, string | string[]>;
  let count = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    count += 1;
    if (count > FIELDS_MAX || name === '__proto__') throw inboundErrors.fail('webhook_invalid_payload');
    const before = fields[name];
    fields[name] = before === undefined ? value : [...[before].flat(), value];
  }
  return fields;
}
