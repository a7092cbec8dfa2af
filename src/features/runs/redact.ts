/** Takes the credential's values out of what scripts say. */
import type { Credential, LiveConnection } from '../credentials/index.ts';

/** Shorter ones stand in ordinary words; no provider has such a secret. */
const SECRET_CHARS_MIN = 6;
/** What a log line or an error keeps of one text. */
const DEPTH_MAX = 20;
const MASK = '***';

/** Fields of a credential that are no secret. */
const PUBLIC_FIELDS: ReadonlySet<string> = new Set([
  'type',
  'expires_at',
  'token_type',
  'scope',
  'expires_in',
  'created_at',
  'username',
]);

export interface Redactor {
  /** From now on the values of this credential are taken out. */
  learn(live: Pick<LiveConnection, 'credential'>): void;
  text(value: string): string;
  /** A JSON value with every text cleaned, fit for PostgreSQL; deeper than 20 levels is cut. */
  json(value: unknown): unknown;
}

/** Knows no secret at first. */
export function createRedactor(): Redactor {
  const secrets = new Set<string>();
  const seen = new WeakSet<Credential>();
  let ordered: string[] = [];

  function text(value: string): string {
    let clean = value.includes('\0') ? value.replaceAll('\0', '') : value;
    clean = clean.toWellFormed();
    for (const secret of ordered) if (clean.includes(secret)) clean = clean.replaceAll(secret, MASK);
    return clean;
  }

  function json(value: unknown, depth = 0): unknown {
    if (typeof value === 'string') return text(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= DEPTH_MAX) return '[too deep]';
    if (Array.isArray(value)) return value.map((one) => json(one, depth + 1));
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [text(name), json(one, depth + 1)]));
  }

  return {
    learn({ credential }) {
      if (seen.has(credential)) return;
      seen.add(credential);
      for (const secret of secretsOf(credential)) for (const form of formsOf(secret)) secrets.add(form);
      // A secret may hold another one: the longest goes first.
      ordered = [...secrets].sort((a, b) => b.length - a.length);
    },
    text,
    json: (value) => json(value),
  };
}

function secretsOf(credential: Credential): string[] {
  const found: string[] = [];
  const collect = (value: unknown, name: string): void => {
    if (typeof value === 'string') {
      if (value.length >= SECRET_CHARS_MIN && !PUBLIC_FIELDS.has(name)) found.push(value);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) collect(inner, key);
    }
  };
  // The provider's raw answer also names accounts and scopes: of it only tokens and secrets count.
  const { raw, ...rest } = credential as Credential & { raw?: Record<string, unknown> };
  collect(rest, '');
  for (const [name, value] of Object.entries(raw ?? {})) {
    if (/token|secret|password|key|assertion/i.test(name) && name !== 'token_type') collect(value, name);
  }
  if (credential.type === 'BASIC') found.push(`${credential.username}:${credential.password}`);
  return found;
}

/** As headers, addresses, JSON and dumps write it. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  return [
    secret,
    encodeURIComponent(secret.toWellFormed()),
    new URLSearchParams([['', secret]]).toString().slice(1),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}
