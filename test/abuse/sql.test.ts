/** SQL injection (threats 2.6, case 30): the sources build no SQL from values, and no input of any route reaches it as text. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { routesWithRows, startMatrix, type Matrix } from '../support/matrix.ts';
import type { Call } from '../support/matrix-rows.ts';
import { productSources, projectOf, readProject, type Project } from '../tidy/project.ts';
import { lineAt, type Source } from '../tidy/scan.ts';

const SQL_WORDS =
  /\b(?:SELECT\s[\s\S]*|INSERT\s+INTO|UPDATE\s+\S+\s+(?:\w+\s+)?SET|DELETE\s+FROM|CREATE\s+\w+|ALTER\s+\w+|DROP\s+\w+|(?:UN)?LISTEN|NOTIFY|SET\s+\w+\s*=)(?=\s|$|[^\w])/;

/** Files whose holes are no values, with the reason. */
const EXCUSED: Record<string, string> = {
  'src/features/connections/store-grants.ts': 'the columns are a constant of store.ts beside it',
  'src/features/environments/store-keys.ts': 'table and column names come from a constant list in the file',
  'src/features/outbound/store-list.ts': 'conditions are constants; every value is a numbered parameter',
  'src/features/recovery/store-dump.ts': 'quoted names from the catalogue; a backup names only what the catalogue has',
  'src/features/records/store-read.ts': 'four statements, put together once from constants of the file',
  'src/features/runs/store.ts': 'columns and conditions are constants; every value is a numbered parameter',
  'src/features/runs/store-queue.ts': 'columns and conditions are constants; every value is a numbered parameter',
  'src/platform/postgres/embedded/cluster.ts': 'user and password are generated as hex; initdb takes no parameters',
  'src/platform/postgres/embedded/start.ts': 'the name of the embedded database is a constant',
  'src/platform/postgres/migrate.ts': 'a number of ours; SET takes no parameters',
};

/** Inputs of a route among which every payload goes round once. */
const SHARERS_MAX = 4;

/** Texts that are chosen, not built, with the reason. */
const CHOSEN: Record<string, string> = {
  ...Object.fromEntries(
    ['FEED', 'FEED_WANTED', 'IDS', 'IDS_WANTED'].map((name) => [
      `src/features/records/store-read.ts ${name}`,
      'one of four statements of the file',
    ]),
  ),
  'src/features/connections/store.ts text': 'one of two whole statements, by a name from our own code',
};

/** A constant of the file, which may be a function of literals; a quoted identifier; a choice between two literals. */
const HOLE =
  /^(?:[A-Z][A-Z0-9_]*(?:\((?:\s*(?:\d+|'[^']*'|"[^"]*")\s*,?)*\))?|escapeIdentifier\(\w+\)|[\w.]+ \? '[^']*' : '[^']*')$/;

interface Problem {
  path: string;
  line: number;
  what: string;
}

/** Every place where SQL text could hold a value. */
function sqlProblems(project: Project): Problem[] {
  return productSources(project)
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap((source) => [...badHoles(source), ...concatenations(source), ...variableTexts(source)]);
}

function problem(source: Source, offset: number, what: string): Problem {
  return { path: source.path, line: lineAt(source.text, offset), what };
}

function badHoles(source: Source): Problem[] {
  if (source.path in EXCUSED) return [];
  return source.literals
    .filter(({ text }) => SQL_WORDS.test(text) && text.includes('${}') && !/^[A-Z][a-z]/.test(text))
    .flatMap(({ offset }) =>
      holesAt(source.text, offset)
        .filter((hole) => !HOLE.test(hole) || !isConstantOfFile(source, hole))
        .map((hole) => problem(source, offset, `a hole in SQL: ${hole}`)),
    );
}

/** The expressions in the holes of the template literal at an offset. */
function holesAt(text: string, start: number): string[] {
  const holes: string[] = [];
  for (let at = start + 1; at < text.length && text[at] !== '`'; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text.startsWith('${', at)) {
      let depth = 1;
      const from = at + 2;
      for (at = from; depth > 0; at += 1) {
        if (text[at] === '{') depth += 1;
        if (text[at] === '}') depth -= 1;
      }
      at -= 1;
      holes.push(text.slice(from, at).trim());
    }
  }
  return holes;
}

/** An upper-case name must be a constant here, made of literals: not an import, not a parameter. */
function isConstantOfFile(source: Source, hole: string): boolean {
  const name = /^[A-Z][A-Z0-9_]*/.exec(hole)?.[0];
  if (name === undefined) return true;
  const declared = new RegExp(
    String.raw`(?:^|\n)(?:export )?const ${name}\b[^=]*= *(?:\n *)?(?:[\`'"]|\([^)]*\)[^=]*=>\s*[\`'"])`,
  );
  return declared.test(source.text);
}

function concatenations(source: Source): Problem[] {
  return source.literals
    .filter(({ text, offset }) => SQL_WORDS.test(text) && /^[\s(]*[A-Z]{4,}\s/.test(text) && isJoined(source, offset))
    .map(({ offset }) => problem(source, offset, 'SQL joined with +'));
}

function isJoined({ code, text }: Source, offset: number): boolean {
  const quote = text[offset] as string;
  let end = offset + 1;
  while (end < code.length && code[end] !== quote) end += 1;
  return /\+\s*$/.test(code.slice(Math.max(0, offset - 20), offset)) || /^\s*\+/.test(code.slice(end + 1, end + 20));
}

/** `query(text)` with a text from elsewhere; the driver's own layer passes texts through. */
function variableTexts(source: Source): Problem[] {
  if (source.path.startsWith('src/platform/postgres/')) return [];
  return [...source.code.matchAll(/\.query\b/g)].flatMap((match) => {
    let at = (match.index as number) + match[0].length;
    if (source.code[at] === '<') {
      for (let depth = 0; at < source.code.length; at += 1) {
        if (source.code[at] === '<') depth += 1;
        if (source.code[at] === '>') depth -= 1;
        if (depth === 0) break;
      }
      at += 1;
    }
    if (source.code[at] !== '(') return [];
    const first = /^\(\s*(\w+|\S)/.exec(source.code.slice(at))?.[1] ?? '';
    return '\'`"'.includes(first) || `${source.path} ${first}` in CHOSEN
      ? []
      : [problem(source, at, 'query() of a text that is not written here')];
  });
}

describe('abuse 30: the sources', () => {
  it('abuse 30: no SQL text is built from values', () => {
    const project = readProject(fileURLToPath(new URL('../..', import.meta.url)));
    const statements = productSources(project).flatMap(({ literals }) =>
      literals.filter(({ text }) => SQL_WORDS.test(text)),
    );
    expect(statements.length).toBeGreaterThan(60);
    expect(sqlProblems(project).map(({ path, line, what }) => `${path}:${line} ${what}`)).toEqual([]);
    expect(Object.keys(EXCUSED).filter((path) => !project.sources.has(path))).toEqual([]);
  });

  it.each([
    'await sql.query(`SELECT * FROM connection WHERE id = ${id}`);',
    'const q = `SELECT id FROM connection ORDER BY ${query.sort}`;',
    "await sql.query<Row>(`UPDATE connection SET state = '${state}' WHERE id = $1`, [id]);",
    "await sql.query('SELECT * FROM a WHERE b = ' + b);",
    'await sql.query<{ a: Map<string, number> }>(text, values);',
    "import { COLUMNS } from './x.ts'; await sql.query(`SELECT ${COLUMNS} FROM a`);",
    'function f(WHERE: string) { return `DELETE FROM a WHERE ${WHERE}`; }',
    'sql.query(`LISTEN ${channel}`);',
  ])('abuse 30: the check catches %s', (text) => {
    expect(sqlProblems(projectOf(new Map([['src/features/a/store.ts', text]])))).not.toEqual([]);
  });

  it.each([
    "const COLUMNS = 'a, b';\nawait sql.query(`SELECT ${COLUMNS} FROM a WHERE b = $1`, [b]);",
    'const AFTER = (n: number) => `now() + $${n}`;\nawait sql.query<A<B>>(`UPDATE a SET b = ${AFTER(6)}`, [b]);',
    "await sql.query(`SELECT a FROM b ${options.lock ? 'FOR UPDATE' : ''}`);",
    'sql.query(`LISTEN ${escapeIdentifier(channel)}`);',
    'throw fail(`Update ${name} and select another.`);',
  ])('abuse 30: the check lets pass %s', (text) => {
    expect(sqlProblems(projectOf(new Map([['src/features/a/store.ts', text]])))).toEqual([]);
  });
});

/** What breaks out of a quoted string, a number, an identifier, a LIKE pattern, JSON or a JSON path. */
const PAYLOADS = [
  "'",
  '"',
  "''--",
  "' OR '1'='1",
  "'; DROP TABLE connection; --",
  "'||pg_sleep(20)||'",
  '1; SELECT pg_sleep(20)',
  "') UNION SELECT secret_hash::text FROM api_key --",
  "a'::text) OR true --",
  '\\',
  "\\'",
  '$1',
  '$$;$$',
  '%_\\',
  '/*',
  'x\0y',
  '\ud800',
  '{"$ne":null}',
  '{"a":"b"}',
  '$.* ? (@ like_regex ".*")',
  '\u02bc OR 1=1',
  'NULL',
  `${"'".repeat(255)}`,
];

describe('abuse 30: every input of every route', () => {
  let matrix: Matrix;
  beforeAll(async () => {
    matrix = await startMatrix();
  });
  afterAll(() => matrix?.close());

  const schema = async (): Promise<string> => {
    const found = await matrix.app.db.query<{ line: string }>(
      `SELECT table_name || '.' || column_name || ' ' || data_type AS line FROM information_schema.columns
       WHERE table_schema = 'public' ORDER BY 1`,
    );
    return found.map(({ line }) => line).join('\n');
  };
  const keys = () => matrix.app.db.query('SELECT environment_id, id, secret_hash, scopes FROM api_key ORDER BY id');

  it('abuse 30: answers below 500 and changes nothing that is not the caller’s', { timeout: 240_000 }, async () => {
    const before = [await schema(), await keys(), await matrix.dump(matrix.prod)];
    const failures: string[] = [];
    let sent = 0;
    const jobs = routesWithRows(matrix).flatMap((one) => {
      const inputs = inputsOf(one.route.path, one.row.call(matrix.dev));
      // Neighbouring inputs share the payloads: every route meets all of them.
      const sharers = Math.min(inputs.length, SHARERS_MAX);
      return inputs.flatMap((input, at) =>
        PAYLOADS.filter((_, index) => index % sharers === at % sharers).map((payload) => ({ ...one, input, payload })),
      );
    });
    const work = async (): Promise<void> => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        const { route, row, name, input, payload } = job;
        // Each success uses the session up.
        const fresh = route.auth.by === 'public' && row.ok === 200;
        const world = fresh && row.prepare !== undefined ? await row.prepare(matrix, matrix.dev) : matrix.dev;
        const call = input.put(row.call(world), payload);
        if (call === undefined) continue;
        const credential =
          route.auth.by === 'public' ? undefined : route.auth.by === 'session' ? world.session : world.key;
        const response = await matrix.send(route, call, credential && `Bearer ${credential}`);
        const text = await response.text();
        sent += 1;
        // 501 is what the contract says of a route without an implementation.
        if (response.status >= 500 && response.status !== 501)
          failures.push(`${name} ${input.name} ${JSON.stringify(payload)}: ${response.status} ${text}`);
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    expect(failures.slice(0, 20)).toEqual([]);
    expect(sent).toBeGreaterThan(2_000);
    expect([await schema(), await keys(), await matrix.dump(matrix.prod)]).toEqual(before);
  });

  it('abuse 30: what may be stored comes back as it was', async () => {
    const { dev, app } = matrix;
    const storable = PAYLOADS.filter((payload) => !payload.includes('\0') && payload.isWellFormed());
    const metadata = Object.fromEntries(storable.map((payload, index) => [`k${index}`, { [payload]: payload }]));
    const set = await matrix.api(dev, 'POST', '/connections/metadata', {
      provider_config_key: dev.integration,
      connection_id: dev.connection,
      metadata,
    });
    expect(set.status).toBe(201);
    const [row] = await app.db.query<{ metadata: object }>(
      `SELECT c.metadata FROM connection c JOIN environment e ON e.id = c.environment_id
       WHERE e.name = 'dev' AND c.connection_id = $1`,
      [dev.connection],
    );
    expect(row?.metadata).toEqual(metadata);
    for (const payload of storable) {
      // A search is text, not a pattern: only what holds it is found.
      const found = await matrix.api(dev, 'GET', `/connections?${new URLSearchParams({ search: payload })}`);
      const ids = (found.body.connections as { connection_id: string }[]).map(({ connection_id: id }) =>
        id.toLowerCase(),
      );
      expect([payload, found.status]).toEqual([payload, 200]);
      expect([payload, ids.includes(dev.connection)]).toEqual([
        payload,
        dev.connection.includes(payload.toLowerCase()),
      ]);
    }
  });

  it('abuse 30: keys that exist on every object are names like others', async () => {
    const { dev } = matrix;
    for (const key of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
      await matrix.newIntegration(dev, key);
      await matrix.newConnection(dev, key, key);
      const session = await matrix.newSession(dev, { allowed_integrations: [key], tags: { constructor: 'x' } });
      for (const [method, path, credential] of [
        ['GET', `/integrations/${key}`, dev.key],
        ['GET', `/connections/${key}?provider_config_key=${key}`, dev.key],
        ['GET', `/connections?connectionId=${key}&integrationId=${key}`, dev.key],
        ['GET', '/connect/session/integrations', session],
        ['GET', '/connect/session', session],
      ] as const) {
        const response = await matrix.send({ method }, { path }, `Bearer ${credential}`);
        expect([method, path, response.status]).toEqual([method, path, 200]);
      }
      const started = await matrix.send({ method: 'GET' }, { path: `/oauth/connect/${key}`, query: { connect_session_token: session } }); // prettier-ignore
      expect([key, started.status]).toEqual([key, 302]);
      const proxied = await matrix.send({ method: 'GET' }, { path: '/proxy/x', headers: { 'provider-config-key': key, 'connection-id': key } }, `Bearer ${dev.key}`); // prettier-ignore
      expect([key, proxied.status]).toEqual([key, 200]);
      const unknown = await matrix.send({ method: 'GET' }, { path: `/providers/${key}` }, `Bearer ${dev.key}`);
      expect([key, unknown.status]).toEqual([key, 404]);
      const logo = await matrix.send({ method: 'GET' }, { path: `/images/template-logos/${key}.svg` });
      expect([key, logo.status]).toEqual([key, 404]);
      const removed = await matrix.api(dev, 'DELETE', `/integrations/${key}`);
      expect([key, removed.status]).toEqual([key, 200]);
    }
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });
});

interface Input {
  name: string;
  /** The call with the payload in this place; undefined when no client can send it there. */
  put(call: Call, payload: string): Call | undefined;
}

/** Every place of a call that takes text from outside. */
function inputsOf(pattern: string, call: Call): Input[] {
  const inputs: Input[] = [];
  pattern.split('/').forEach((segment, index) => {
    if (!segment.startsWith(':') && segment !== '*') return;
    inputs.push({
      name: `path ${segment}`,
      put: (one, payload) => {
        const segments = one.path.split('/');
        segments[index] = escape(payload);
        return { ...one, path: segments.join('/') };
      },
    });
  });
  for (const name of Object.keys(call.query ?? {})) {
    inputs.push({
      name: `query ${name}`,
      put: (one, payload) => ({ ...one, path: `${one.path}?${escape(name)}=${escape(payload)}${rest(one, name)}`, query: undefined }), // prettier-ignore
    });
  }
  inputs.push({
    name: 'a query of its own',
    put: (one, payload) => ({ ...one, path: `${one.path}?tags[${escape(payload)}]=x&${escape(payload)}=y${rest(one, '')}`, query: undefined }), // prettier-ignore
  });
  for (const name of Object.keys(call.headers ?? {})) {
    inputs.push({
      name: `header ${name}`,
      put: (one, payload) =>
        /^[\x20-\x7e]+$/.test(payload) ? { ...one, headers: { ...one.headers, [name]: payload } } : undefined,
    });
  }
  for (const path of leavesOf(call.body)) {
    inputs.push({
      name: `body ${path.join('.')}`,
      put: (one, payload) => ({ ...one, body: replaced(one.body, path, payload) }),
    });
  }
  return inputs;
}

function rest(call: Call, without: string): string {
  return Object.entries(call.query ?? {})
    .filter(([name]) => name !== without)
    .map(([name, value]) => `&${escape(name)}=${escape(value)}`)
    .join('');
}

function escape(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function leavesOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value === 'string') return [path];
  if (Array.isArray(value)) return value.flatMap((one, index) => leavesOf(one, [...path, index]));
  if (value === null || typeof value !== 'object' || value instanceof Date) return [];
  return Object.entries(value).flatMap(([name, one]) => leavesOf(one, [...path, name]));
}

function replaced(value: unknown, [first, ...more]: (string | number)[], payload: string): unknown {
  if (first === undefined) return payload;
  if (Array.isArray(value)) return value.map((one, index) => (index === first ? replaced(one, more, payload) : one));
  const object = value as Record<string, unknown>;
  return { ...object, [first]: replaced(object[first], more, payload) };
}
