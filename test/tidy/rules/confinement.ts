import { readdirSync } from 'node:fs';
import { isTest, productSources } from '../project.ts';
import { inCode, violation, type Rule, type Violation } from '../rule.ts';
import type { Source } from '../scan.ts';

const isOutside = (allowed: RegExp) => (source: Source) => !allowed.test(source.path);

/** Upper case anywhere, or lower case at the begin: prose such as "select … from the list" is no SQL. */
const SQL = new RegExp(
  [
    String.raw`\bSELECT\s[\s\S]*\sFROM\b`,
    String.raw`\bSELECT\s+\w+\(`,
    String.raw`\b(?:INSERT\s+INTO|DELETE\s+FROM|FOR\s+UPDATE|SKIP\s+LOCKED)\b`,
    String.raw`\bUPDATE\s+\S+\s+SET\b`,
    String.raw`\b(?:CREATE|DROP|ALTER|TRUNCATE)\s+(?:TABLE|INDEX|DATABASE|SCHEMA|TYPE)\b`,
    String.raw`^\s*(?:select\s[\s\S]*\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s)`,
    String.raw`^\s*(?:LISTEN|NOTIFY|listen|notify)\s+\w+\s*$`,
  ].join('|'),
);

const sql: Rule = {
  name: 'SQL stands in store files',
  reason: 'who reads or changes a table is found by opening one file per slice',
  check: (project) =>
    productSources(project)
      .filter(isOutside(/^src\/features\/[^/]+\/store[\w-]*\.ts$|^src\/platform\/postgres\//))
      .flatMap((source) =>
        source.literals
          .filter(({ text }) => SQL.test(text))
          .map(({ offset, text }) => violation(source, offset, `SQL: ${text.trim().slice(0, 40)}`)),
      ),
  catches: [
    { 'src/features/proxy/prepare.ts': 'await db.query(`SELECT id\n FROM connection WHERE id = ${id}`);' },
    { 'src/shell/http/a.ts': "db.query('delete from session');" },
    { 'src/features/connect/finish.ts': "sql.query('SELECT pg_notify($1, $2)');" },
  ],
  passes: [
    { 'src/features/proxy/store.ts': "db.query('SELECT id FROM connection');" },
    { 'src/features/proxy/store-claims.ts': "db.query('DELETE FROM claim');" },
    { 'src/features/proxy/a.ts': "const hint = 'Select one from the list'; // SELECT x FROM y" },
  ],
};

/** Modules that open sockets. Types of them are harmless, and so is what a server needs. */
const SOCKET_MODULES = new Set(
  ['undici', 'ws', 'node:http', 'node:https', 'node:http2', 'node:net', 'node:tls', 'node:dgram', 'node:dns', 'node:dns/promises'], // prettier-ignore
);
const SERVER_NAMES = new Set(['createServer', 'WebSocketServer', 'isIP', 'isIPv4', 'isIPv6', 'BlockList', 'STATUS_CODES', 'METHODS']); // prettier-ignore

const outbound: Rule = {
  name: 'outbound HTTP goes through platform/upstream',
  reason: 'one egress guard: no other code can reach a private address or follow a redirect',
  check: (project) =>
    productSources(project)
      // PostgreSQL has sockets of its own; a page in a browser has no other way out. Emulators may not import ours;
      // their webhooks leave through this one file.
      .filter(isOutside(/^src\/platform\/(upstream|postgres)\/|^emulators\/engine\/post\.ts$|^web\//))
      .flatMap((source): Violation[] => [
        ...source.imports
          .filter((one) => SOCKET_MODULES.has(one.from) && !one.typeOnly)
          .filter((one) => clientNames(source, one).length > 0)
          .map((one) => violation(source, one.offset, `${one.from}: ${clientNames(source, one).join(', ')}`)),
        ...inCode(source, /(?<![\w.])(?:globalThis\.)?fetch\(|\bnew (?:WebSocket|EventSource)\(/g, ([call]) => call),
      ]),
  catches: [
    { 'src/features/connect/a.ts': 'await fetch(url);' },
    { 'src/features/connect/b.ts': "import { request } from 'undici';" },
    { 'src/shell/a.ts': "import { createServer, request } from 'node:http';" },
    { 'src/shell/b.ts': "import http from 'node:http';" },
    { 'src/shell/c.ts': "const { connect } = await import('node:net');" },
    { 'src/features/connect/c.ts': 'const { request } = globalThis; await globalThis.fetch(url);' },
    { 'emulators/engine/a.ts': "import { Agent } from 'undici';" },
  ],
  passes: [
    { 'src/platform/upstream/call.ts': "import { Agent } from 'undici'; fetch(url);" },
    { 'src/shell/a.ts': "import { createServer, type Server } from 'node:http';" },
    { 'src/shell/b.ts': "import type { IncomingMessage } from 'node:http'; credentials.fetch(url);" },
    { 'src/features/connect/d.ts': "import { WebSocketServer, type WebSocket } from 'ws';" },
    { 'src/a.test.ts': 'await fetch(url);' },
  ],
};

/** What an import brings that could be a client. `import { createServer, type Server }` brings none. */
function clientNames(source: Source, one: Source['imports'][number]): string[] {
  const statement = source.text.slice(one.offset, source.text.indexOf('from', one.offset));
  const types = new Set([...statement.matchAll(/\btype\s+(\w+)/g)].map((match) => match[1] as string));
  return one.names.filter((name) => !SERVER_NAMES.has(name) && !types.has(name));
}

const environment: Rule = {
  name: 'process.env is read in config.ts',
  reason: 'every setting stands in one table with its default and its sentence',
  check: (project) =>
    productSources(project)
      .filter(isOutside(/^src\/config\.ts$/))
      .flatMap((source) => inCode(source, /\bprocess\.env\b|\bimport\.meta\.env\b/g, ([use]) => use)),
  catches: [{ 'src/platform/log/a.ts': "const level = process.env['LEVEL'];" }],
  passes: [{ 'src/config.ts': 'read(process.env)' }, { 'src/base/a.ts': '// process.env is read elsewhere' }],
};

const CLOCK =
  /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )(?<![\w.])Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b|\bprocess\.hrtime\b|(?<![\w.])set(?:Timeout|Interval)\(/g;

const clock: Rule = {
  name: 'clock, timers and chance come through ports',
  reason: 'tests move the time and repeat the chance; a hidden clock makes a test that fails once a month',
  check: (project) =>
    productSources(project)
      // Pages in a browser have no platform. Emulators may not import ours; their default clock is this one file.
      .filter(isOutside(/^src\/platform\/|^src\/base\/ids\.ts$|^emulators\/engine\/clock\.ts$|^web\//))
      .flatMap((source) => [
        ...inCode(source, CLOCK, ([use]) => use),
        ...source.imports
          .filter((one) => /^(node:)?timers/.test(one.from) && !one.typeOnly)
          .map((one) => violation(source, one.offset, one.from)),
      ]),
  catches: [
    { 'src/features/connect/a.ts': 'const now = Date.now();' },
    { 'src/features/connect/b.ts': 'const now = new Date();' },
    { 'src/features/connect/c.ts': 'const jitter = Math.random();' },
    { 'src/features/connect/d.ts': 'setTimeout(run, 5);' },
    { 'src/features/connect/e.ts': "import { setTimeout as delay } from 'node:timers/promises';" },
    { 'emulators/engine/token.ts': 'setInterval(run, 5);' },
  ],
  passes: [
    { 'src/platform/clock.ts': 'Date.now(); setTimeout(run, 5);' },
    { 'src/features/connect/a.ts': 'const at = new Date(clock.now()); socket.setTimeout(5); Date.parse(text);' },
    { 'src/features/connect/b.ts': "const sentence = 'Date.now() is not used';" },
  ],
};

/** Files of the catalogue that stand for no single provider. */
const GENERIC = /^(?:index|private-api|unauthenticated|oauth2-|aws-)|generic/;
/** Brands that are words of the language too; like short ones they count only as a literal of their own. */
const WORDS_OF_LANGUAGE = new Set(['front', 'linear', 'notion', 'slack', 'square', 'stripe', 'zoom']);
const BRAND_LETTERS_MIN = 4;

/** First words of the provider files; one file per provider, the folder is the list. */
function providerWords(folder: URL): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  return [...new Set(names.filter((name) => !GENERIC.test(name)).map((name) => /^[a-z0-9]+/.exec(name)?.[0] ?? ''))];
}

const WORDS = providerWords(new URL('../../../catalogue/', import.meta.url));
const BRANDS = WORDS.filter((word) => word.length >= BRAND_LETTERS_MIN && !WORDS_OF_LANGUAGE.has(word));
const [FIRST = ''] = BRANDS;

// `checkr_account`, `isCheckr`, `CHECKR_URL`, but not the begin of `checkReturn` or of a longer word.
const NAMES = new RegExp(
  BRANDS.flatMap((word) => [
    // One query parameter of the wire contract is called `refresh_…_app_jwt_token`.
    `(?<![A-Za-z])${word}(?![a-z]|_app_jwt_token)`,
    `${capital(word)}(?![a-z])`,
    `(?<![A-Z])${word.toUpperCase()}(?![A-Z])`,
  ]).join('|'),
  'g',
);

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function namesProvider(literal: string): boolean {
  return WORDS.includes(literal) || literal.search(NAMES) !== -1;
}

const providers: Rule = {
  name: 'code names no provider',
  // Comments may: the provider that made a rule necessary is its best reason.
  reason: 'a quirk is the value of a knob in the catalogue; a name in code is the quirk nobody finds again',
  check: (project) =>
    [...project.sources.values()]
      .filter(({ path }) => /^(src|sdk|web|bin)\//.test(path) && !isTest(path))
      // The demonstration of `hawser dev`: seed, page and what the banner tells to try.
      .filter(isOutside(/^src\/shell\/(dev\/|start\/banner\.ts$)/))
      .flatMap((source) => [
        ...inCode(source, NAMES, ([name]) => name),
        ...source.literals
          .filter(({ text }) => namesProvider(text))
          .map(({ offset, text }) => violation(source, offset, text.trim().slice(0, 40))),
      ]),
  catches: [
    { 'src/features/connect/a.ts': `if (provider === '${FIRST}') return;` },
    { 'src/protocols/oauth2/a.ts': `const is${capital(FIRST)} = true;` },
    { 'src/protocols/oauth2/b.ts': `read(answer.${FIRST}_account_id);` },
  ],
  passes: [
    { 'src/features/connect/a.ts': `// ${capital(FIRST)} drops the state.` },
    { 'src/shell/dev/seed.ts': `seed('${FIRST}');` },
    { 'src/features/connect/b.ts': 'checkReturnTo(text); const xrefs = 1;' },
  ],
};

export const confinementRules = [sql, outbound, environment, clock, providers];
