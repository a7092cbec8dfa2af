/**
 * CANARY: secrets that are planted and then searched for in everything the program lets out, in every form in which they
 * could leave it. What is told about a hit is never the secret.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Database } from '../../src/platform/postgres/index.ts';

export interface Canary {
  name: string;
  secret: string;
}

export interface Hit {
  canary: string;
  encoding: string;
  /** Where it was found, with what stands before it. */
  where: string;
}

/** Shorter texts would be found by chance. */
const CHARS_MIN = 20;

/** A secret as it could stand in a log line, a URL, a dump or a header. */
export function encodingsOf(secret: string): { encoding: string; text: string }[] {
  if (secret.length < CHARS_MIN) throw new Error('too short for a canary');
  const bytes = Buffer.from(secret, 'utf8');
  const hex = bytes.toString('hex');
  const escaped = JSON.stringify(secret).slice(1, -1);
  const found = [
    { encoding: 'raw', text: secret },
    { encoding: 'raw bytes', text: bytes.toString('latin1') },
    { encoding: 'url', text: encodeURIComponent(secret) },
    { encoding: 'form', text: new URLSearchParams({ a: secret }).toString().slice(2) },
    { encoding: 'hex', text: hex },
    { encoding: 'hex', text: hex.toUpperCase() },
    { encoding: 'json', text: escaped },
    { encoding: 'json in json', text: JSON.stringify(escaped).slice(1, -1) },
    { encoding: 'html', text: secret.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`) },
    ...alignments(bytes).flatMap((text) => [
      { encoding: 'base64', text },
      { encoding: 'base64url', text: text.replaceAll('+', '-').replaceAll('/', '_') },
    ]),
  ];
  return found.filter((one, index) => found.findIndex(({ text }) => text === one.text) === index);
}

/** Base64 of the bytes wherever they stand in a longer text: the characters that do not depend on what is around. */
function alignments(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]);
    const kept = whole.subarray(0, whole.length - (whole.length % 3));
    return kept.toString('base64').slice(before === 0 ? 0 : before + 1);
  });
}

/** A hash is as good as the secret when it can be guessed; ours cannot, and hashes are how they are looked up. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

const known = new Map<string, { encoding: string; text: string }[]>();

function formsOf(secret: string): { encoding: string; text: string }[] {
  const forms = known.get(secret) ?? encodingsOf(secret);
  known.set(secret, forms);
  return forms;
}

export function searchFor(canaries: readonly Canary[], text: string, where: string): Hit[] {
  return canaries.flatMap(({ name, secret }) =>
    formsOf(secret).flatMap(({ encoding, text: form }) => {
      const at = text.indexOf(form);
      if (at === -1) return [];
      const before = text.slice(Math.max(0, at - 60), at).replaceAll(/\s+/g, ' ');
      return [{ canary: name, encoding, where: `${where}: …${before}[${name}]` }];
    }),
  );
}

/** Every row of every table, as text; of sealed columns the bytes too. */
export async function dumpDatabase(db: Database): Promise<{ text: string; rows: number; tables: number }> {
  const tables = await db.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`,
  );
  const parts: string[] = [];
  let count = 0;
  for (const { name } of tables) {
    const found = await db.query<Record<string, unknown> & { as_json: string }>(
      `SELECT t.*, to_jsonb(t)::text AS as_json FROM "${name}" t`,
    );
    count += found.length;
    for (const { as_json: asJson, ...columns } of found) {
      const bytes = Object.values(columns).filter((value) => Buffer.isBuffer(value));
      parts.push(`${name} ${asJson}`, ...bytes.map((value) => `${name} ${value.toString('latin1')}`));
    }
  }
  return { text: parts.join('\n'), rows: count, tables: tables.length };
}

export interface EchoRequest {
  path: string;
  authorization: string | undefined;
  body: string;
}

export type EchoAnswer = (request: EchoRequest, response: ServerResponse) => void;

export interface Echo {
  url: string;
  pair: string;
  requests: EchoRequest[];
  /** How the token endpoint answers. */
  token: EchoAnswer;
  /** How the revocation endpoint answers. */
  revoke: EchoAnswer;
  close(): Promise<void>;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Ways in which a provider repeats what it was sent while it refuses: all of them have been seen. */
export const ECHOES: Record<string, EchoAnswer> = {
  'JSON error that quotes the request': ({ body, authorization }, response) =>
    json(response, 400, { error: 'invalid_grant', error_description: `refused: ${body} ${authorization ?? ''}` }),
  'error code that is the request': ({ body }, response) => json(response, 400, { error: body }),
  'error of the client that quotes it': ({ body }, response) =>
    json(response, 401, { error: 'invalid_client', error_description: body, error_uri: `https://x.example/?${body}` }),
  'page of a gateway': ({ body }, response) =>
    void response.writeHead(502, { 'content-type': 'text/html' }).end(`<h1>Bad gateway</h1><pre>${body}</pre>`),
  'plain text': ({ body }, response) => void response.writeHead(500, { 'content-type': 'text/plain' }).end(body),
  'success that is an error': ({ body }, response) =>
    json(response, 200, { error: 'server_error', error_description: body }),
  'success without a token': ({ body }, response) => json(response, 200, { received: body, token_type: 'Bearer' }),
  'JSON that breaks off': ({ body }, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"access_token":"${body}`),
  'redirect that carries it on': ({ body }, response) =>
    void response.writeHead(302, { location: `https://elsewhere.example/?${body}` }).end(),
  'headers that carry it': ({ body, authorization }, response) =>
    void response
      .writeHead(401, { 'www-authenticate': `Basic realm="${body} ${authorization ?? ''}"`, 'x-debug': body })
      .end(),
  'too many, try later': ({ body }, response) =>
    void response.writeHead(429, { 'retry-after': '1', 'content-type': 'text/plain' }).end(body),
  'nothing but a hang-up': (_request, response) => void response.destroy(),
  'half an answer': ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' });
    response.write(`{"access_token":"${body}`, () => response.destroy());
  },
};

/** A provider that repeats what it was sent. Its API answers with the status in the path: `/api/status/418`. */
export async function startEcho(): Promise<Echo> {
  const echo: Echo = {
    url: '',
    pair: '',
    requests: [],
    token: ECHOES['plain text'] as EchoAnswer,
    revoke: ECHOES['plain text'] as EchoAnswer,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      const seen = { path, authorization: request.headers.authorization, body };
      echo.requests.push(seen);
      if (path.startsWith('/token')) return echo.token(seen, response);
      if (path.startsWith('/revoke')) return echo.revoke(seen, response);
      const status = Number(/\/status\/(\d{3})/.exec(path)?.[1] ?? 200);
      if (path.includes('/cut')) return ECHOES['half an answer']?.(seen, response);
      json(response, status, { error: `you sent ${seen.authorization} and ${body}` });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  echo.pair = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  echo.url = `http://${echo.pair}`;
  return echo;
}
