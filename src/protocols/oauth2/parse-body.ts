/** Deeper than any real answer; `JSON.stringify` fails at some thousands. */
const DEPTH_MAX = 32;
/** Above the transport's own cap for token calls. */
const BODY_BYTES_MAX = 256 * 1024;

export type ParsedBody =
  | { kind: 'object'; value: Record<string, unknown> }
  | { kind: 'empty' }
  /** HTML, XML, text, a list, broken or hostile JSON. */
  | { kind: 'unreadable' };

/**
 * Reads a token endpoint's body as JSON, else as form parameters, whatever its content type says. Never throws. Keys
 * named `__proto__` are dropped; whole numbers too large for exact arithmetic become text.
 * Source: RFC 6749 5.1 (JSON); some servers answer form-encoded (providers.md 6, row 31).
 */
export function parseBody(body: Buffer): ParsedBody {
  if (body.length > BODY_BYTES_MAX) return { kind: 'unreadable' };
  // The decoder drops a byte order mark; broken UTF-8 becomes U+FFFD, which the token check refuses.
  const text = new TextDecoder('utf-8').decode(body).trim();
  if (text === '') return { kind: 'empty' };
  if (text.startsWith('{')) return parseJson(text);
  return parseForm(text);
}

function parseJson(text: string): ParsedBody {
  if (isDeep(text)) return { kind: 'unreadable' };
  try {
    return { kind: 'object', value: JSON.parse(text, reviver) as Record<string, unknown> };
  } catch {
    // Truncated or no JSON at all: the answer is classified, the text is not repeated anywhere.
    return { kind: 'unreadable' };
  }
}

function reviver(key: string, value: unknown, context?: { source?: string }): unknown {
  if (key === '__proto__') return undefined;
  const digits = context?.source;
  if (
    typeof value === 'number' &&
    !Number.isSafeInteger(value) &&
    digits !== undefined &&
    /^-?[0-9]{1,40}$/.test(digits)
  ) {
    return digits;
  }
  return value;
}

/** True when brackets outside strings nest deeper than {@link DEPTH_MAX}; checked before parsing. */
function isDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted) {
      if (char === '\\') i += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (char === '}' || char === ']') depth -= 1;
  }
  return false;
}

/** Names of form parameters; HTML, XML, CSV and prose do not begin like this. */
const FORM = /^[A-Za-z0-9_.[\]-]{1,64}=[^\s<>"{}]*$/;

function parseForm(text: string): ParsedBody {
  if (!FORM.test(text)) return { kind: 'unreadable' };
  const value = Object.create(null) as Record<string, unknown>;
  for (const [name, item] of new URLSearchParams(text)) {
    if (Object.hasOwn(value, name)) return { kind: 'unreadable' }; // twice: nobody knows which one counts
    if (name !== '__proto__') value[name] = item;
  }
  return { kind: 'object', value };
}

/** The value at a dotted path (`authed_user.access_token`, `data.0.id`); own properties only. */
export function atPath(value: unknown, path: string): unknown {
  let current = value;
  for (const key of path.split('.')) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<string, unknown>)[key];
  }
  return current;
}

/** Equality that forgives a number or a boolean sent as text, as form-encoded answers do. */
export function sameValue(value: unknown, wanted: string | number | boolean): boolean {
  return value === wanted || (typeof value === 'string' && value === String(wanted));
}
