/**
 * Every setting in one table: name, kind, unit, default, what it is for. The reference page is generated from it, and
 * nothing else in the program reads the process environment.
 */
import { homedir } from 'node:os';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { StartupError } from './base/errors.ts';

interface Setting {
  kind: 'text' | 'port' | 'count' | 'flag' | 'list' | 'url' | 'path';
  /** Shown in the reference; `undefined`: none. */
  default: string | undefined;
  secret?: boolean;
  /** One sentence for the reference page. */
  about: string;
}

export const SETTINGS = {
  HAWSER_HOST: { kind: 'text', default: '127.0.0.1', about: 'Address the server listens on.' },
  HAWSER_PORT: {
    kind: 'port',
    default: '3003',
    about: 'Port of API, callback, Connect page and dashboard. 0 takes a free one.',
  },
  HAWSER_EMULATOR_PORT: {
    kind: 'port',
    default: '3004',
    about: 'Port of the emulators that `hawser dev` starts. 0 takes a free one.',
  },
  HAWSER_EMULATOR_URL: {
    kind: 'url',
    default: undefined,
    about: 'Base URL of emulators that run elsewhere, for emulated integrations under `hawser start`.',
  },
  HAWSER_DATA_DIR: {
    kind: 'path',
    default: '.hawser (dev), ~/.hawser (start)',
    about: 'Folder for the embedded PostgreSQL, generated keys and `hawser.json`.',
  },
  HAWSER_PUBLIC_URL: {
    kind: 'url',
    default: 'http://localhost:<port>',
    about: 'URL under which browsers and providers reach this server; the OAuth callback is `<it>/oauth/callback`.',
  },
  HAWSER_ENCRYPTION_KEY: {
    kind: 'text',
    default: 'generated into the data folder by `hawser dev`',
    secret: true,
    about: '32 bytes as base64 or hex; seals every stored secret. `hawser start` needs it, or a key file.',
  },
  HAWSER_ENCRYPTION_KEYS_OLD: {
    kind: 'list',
    default: '',
    secret: true,
    about: 'Further encryption keys that are only read, for the time of a rotation.',
  },
  HAWSER_ENCRYPTION_KEY_FILE: {
    kind: 'path',
    default: 'encryption.key in the data folder, when it is there',
    about: 'File of encryption keys instead of `HAWSER_ENCRYPTION_KEY`: one a line, the first is active, mode 0600.',
  },
  DATABASE_URL: {
    kind: 'text',
    default: 'embedded PostgreSQL',
    secret: true,
    about: 'PostgreSQL to use instead of the embedded one: `postgres://user:password@host:5432/name`.',
  },
  HAWSER_DEV_WEBHOOK_URL: {
    kind: 'url',
    default: undefined,
    about: 'For `hawser dev`: URL of the app, on this machine or not, that gets the events of the environment `dev`.',
  },
  HAWSER_DASHBOARD_PASSWORD: {
    kind: 'text',
    default: 'generated into the data folder by `hawser dev`',
    secret: true,
    about: 'Password of the pages under `/` for visitors that are not on this machine, at least 12 characters.',
  },
  HAWSER_EGRESS_ALLOW: {
    kind: 'list',
    default: '',
    about: 'Exact `host:port` pairs that outbound calls may reach although they are not public addresses.',
  },
  HAWSER_BASE_URL_OVERRIDE: {
    kind: 'list',
    default: '',
    about: 'Origins that the proxy header `Base-Url-Override` may name; `*` for any public one. Empty: off.',
  },
  HAWSER_RETURN_ORIGINS: {
    kind: 'list',
    default: '',
    about: 'Origins that a redirect flow may return to (`return_to`), beside this server’s own.',
  },
  HAWSER_FRAME_ANCESTORS: {
    kind: 'list',
    default: 'http://localhost:* http://127.0.0.1:*',
    about: 'Origins that may embed the Connect page in a frame.',
  },
  HAWSER_RATE_LIMIT_PER_MINUTE: {
    kind: 'count',
    default: '0',
    about: 'Calls a minute per API key or, without one, per address. 0: no limit.',
  },
  HAWSER_DELETION_GUARD_PERCENT: {
    kind: 'count',
    default: '30',
    about:
      'A sync that would delete more than this share of a model, and at least HAWSER_DELETION_GUARD_RECORDS, is held until a person confirms. 100: never.',
  },
  HAWSER_DELETION_GUARD_RECORDS: {
    kind: 'count',
    default: '100',
    about: 'Fewer deletions than this are never held.',
  },
  HAWSER_AUTH_FAILURES_PER_MINUTE: {
    kind: 'count',
    default: '10',
    about:
      'Wrong API keys and tokens a minute that one address may try, and webhooks that prove nothing, for each integration; browsers may fail six times as often. 0: no limit.',
  },
  HAWSER_TRUSTED_PROXIES: {
    kind: 'list',
    default: '',
    about: 'Addresses and CIDR ranges of reverse proxies whose `X-Forwarded-For` tells the caller. Empty: nobody’s.',
  },
  HAWSER_POOL_SIZE: { kind: 'count', default: '10', about: 'Database connections of this node for queries.' },
  HAWSER_LOG_LEVEL: { kind: 'text', default: 'info', about: 'debug, info, warn, error or silent.' },
  HAWSER_URL: {
    kind: 'url',
    default: 'from hawser.json in the data folder',
    about: 'For the command line: the server that commands talk to.',
  },
  HAWSER_API_KEY: {
    kind: 'text',
    default: 'from hawser.json in the data folder',
    secret: true,
    about: 'For the command line: the API key that commands use.',
  },
  HAWSER_KILL_AT: {
    kind: 'text',
    default: undefined,
    about: 'For tests: ends the process with SIGKILL at the named point.',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type ProcessEnv = Record<string, string | undefined>;

export interface Config {
  mode: 'dev' | 'start';
  host: string;
  port: number;
  emulatorPort: number;
  emulatorUrl: string | undefined;
  dataDir: string;
  /** Undefined: derived from the port once it is known. */
  publicUrl: string | undefined;
  encryptionKey: string | undefined;
  /** Read only, beside the active one. */
  encryptionKeysOld: string[];
  encryptionKeyFile: string | undefined;
  databaseUrl: string | undefined;
  devWebhookUrl: string | undefined;
  dashboardPassword: string | undefined;
  egressAllow: string[];
  baseUrlOverride: string[];
  returnOrigins: string[];
  frameAncestors: string[];
  rateLimitPerMinute: number;
  deletionGuardPercent: number;
  deletionGuardRecords: number;
  authFailuresPerMinute: number;
  trustedProxies: string[];
  poolSize: number;
  logLevel: string;
  killAt: string | undefined;
}

/** Shortest dashboard password that is accepted. */
export const PASSWORD_CHARACTERS_MIN = 12;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

/**
 * Reads the settings. Errors: {@link StartupError} that names the setting, what is wrong and what to do.
 */
export function readConfig(mode: 'dev' | 'start', env: ProcessEnv = process.env): Config {
  const text = (name: SettingName): string | undefined => env[name]?.trim() || undefined;
  const whole = (name: SettingName, fallback: number, max: number, min = 0): number => {
    const raw = text(name);
    if (raw === undefined) return fallback;
    const value = Number(raw);
    if (!/^\d+$/.test(raw) || value < min || value > max) {
      throw new StartupError(
        `${name} is "${raw}", not a whole number from ${min} to ${max}.`,
        `Set ${name} to such a number.`,
      );
    }
    return value;
  };
  const list = (name: SettingName): string[] => (text(name) ?? '').split(/[\s,]+/).filter((item) => item !== '');
  const url = (name: SettingName): string | undefined => {
    const raw = text(name);
    if (raw === undefined) return undefined;
    const parsed = URL.canParse(raw) ? new URL(raw) : undefined;
    if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '') {
      throw new StartupError(
        `${name} is not an http(s) URL.`,
        `Set ${name} to something like https://connect.example.com.`,
      );
    }
    return parsed.href.replace(/\/+$/, '');
  };

  const logLevel = text('HAWSER_LOG_LEVEL') ?? 'info';
  if (!LOG_LEVELS.includes(logLevel)) {
    throw new StartupError(`HAWSER_LOG_LEVEL is "${logLevel}".`, `Use one of ${LOG_LEVELS.join(', ')}.`);
  }
  const frameAncestors = list('HAWSER_FRAME_ANCESTORS').map(checkedAncestor);
  const dashboardPassword = text('HAWSER_DASHBOARD_PASSWORD');
  if (dashboardPassword !== undefined && dashboardPassword.length < PASSWORD_CHARACTERS_MIN) {
    throw new StartupError(
      `HAWSER_DASHBOARD_PASSWORD is shorter than ${PASSWORD_CHARACTERS_MIN} characters.`,
      `Set it to at least ${PASSWORD_CHARACTERS_MIN} characters, or leave it out.`,
    );
  }
  const dataDir = text('HAWSER_DATA_DIR');
  const devWebhookUrl = mode === 'dev' ? url('HAWSER_DEV_WEBHOOK_URL') : undefined;
  return {
    mode,
    host: text('HAWSER_HOST') ?? '127.0.0.1',
    port: whole('HAWSER_PORT', 3003, 65_535),
    emulatorPort: whole('HAWSER_EMULATOR_PORT', 3004, 65_535),
    emulatorUrl: url('HAWSER_EMULATOR_URL'),
    dataDir: resolve(dataDir ?? (mode === 'dev' ? '.hawser' : join(homedir(), '.hawser'))),
    publicUrl: originOf('HAWSER_PUBLIC_URL', url('HAWSER_PUBLIC_URL')),
    encryptionKey: text('HAWSER_ENCRYPTION_KEY'),
    encryptionKeysOld: list('HAWSER_ENCRYPTION_KEYS_OLD'),
    encryptionKeyFile: text('HAWSER_ENCRYPTION_KEY_FILE'),
    databaseUrl: text('DATABASE_URL'),
    dashboardPassword,
    devWebhookUrl,
    egressAllow: [...list('HAWSER_EGRESS_ALLOW'), ...(devWebhookUrl === undefined ? [] : [pairOf(devWebhookUrl)])],
    baseUrlOverride: list('HAWSER_BASE_URL_OVERRIDE').map(checkedOverride),
    returnOrigins: list('HAWSER_RETURN_ORIGINS').map((item) => originOf('HAWSER_RETURN_ORIGINS', item)),
    frameAncestors: frameAncestors.length > 0 ? frameAncestors : ['http://localhost:*', 'http://127.0.0.1:*'],
    rateLimitPerMinute: whole('HAWSER_RATE_LIMIT_PER_MINUTE', 0, 1_000_000_000),
    deletionGuardPercent: whole('HAWSER_DELETION_GUARD_PERCENT', 30, 100),
    deletionGuardRecords: whole('HAWSER_DELETION_GUARD_RECORDS', 100, 1_000_000_000),
    authFailuresPerMinute: whole('HAWSER_AUTH_FAILURES_PER_MINUTE', 10, 1_000_000_000),
    trustedProxies: list('HAWSER_TRUSTED_PROXIES').map(checkedProxy),
    poolSize: whole('HAWSER_POOL_SIZE', 10, 1_000, 1),
    logLevel,
    killAt: text('HAWSER_KILL_AT'),
  };
}

/** As browsers write it: what is compared with theirs must not differ by a slash. Errors: {@link StartupError}. */
function originOf<T extends string | undefined>(name: SettingName, text: T): T {
  if (text === undefined) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A path would be lost on the way: the callback and the Connect page are at the root.
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.host.includes('*') || url.href !== `${url.origin}/`) {
    throw new StartupError(
      `${name} holds something else than scheme, host and port.`,
      `Write ${name} like https://connect.example.com, without a path.`,
    );
  }
  return url.origin as T;
}

/** `host:port` of a URL, as the list of allowed targets has it. */
export function pairOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

/** A part of a Content-Security-Policy: a `;` would end it there, and other letters do not fit into a header. */
function checkedAncestor(text: string): string {
  if (/^('none'|'self'|[\w.*:/[\]%+~-]+)$/i.test(text)) return text;
  throw new StartupError(
    `HAWSER_FRAME_ANCESTORS holds "${text}", which is no origin.`,
    'List origins such as https://app.example.com or https://*.example.com, separated by spaces.',
  );
}

/** What is no URL would never fit. Errors: {@link StartupError}. */
function checkedOverride(text: string): string {
  if (text === '*' || /^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text;
  throw new StartupError(
    `HAWSER_BASE_URL_OVERRIDE holds "${text}", which is no origin.`,
    'List origins such as https://api.example.com, separated by spaces, or write * for any public one.',
  );
}

/** Names are refused: who answers for them may change. Errors: {@link StartupError}. */
function checkedProxy(text: string): string {
  const [address = '', bits, ...rest] = text.split('/');
  const bitsMax = isIP(address) === 6 ? 128 : 32;
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= bitsMax);
  if (isIP(address) === 0 || address.includes('%') || !fits || rest.length > 0) {
    throw new StartupError(
      `HAWSER_TRUSTED_PROXIES holds "${text}", which is no address and no CIDR range.`,
      'List addresses such as 10.0.0.7 or ranges such as 10.0.0.0/24, separated by commas.',
    );
  }
  return text;
}

/** What commands that talk to a running server need. */
export interface ClientConfig {
  url: string | undefined;
  apiKey: string | undefined;
  dataDirs: string[];
}

/** Reads where the server is. Without a folder setting both usual folders are looked at, the clone's first. */
export function readClientConfig(env: ProcessEnv = process.env): ClientConfig {
  const dataDir = env['HAWSER_DATA_DIR']?.trim();
  return {
    url: env['HAWSER_URL']?.trim().replace(/\/+$/, '') || undefined,
    apiKey: env['HAWSER_API_KEY']?.trim() || undefined,
    dataDirs: dataDir ? [resolve(dataDir)] : [resolve('.hawser'), join(homedir(), '.hawser')],
  };
}

/** What a project folder says about the server it is deployed to; settings of the process go before its `.env`. */
export interface ProjectConfig {
  /** Server and key of the environment, when both are known. */
  server: { url: string; apiKey: string } | undefined;
  /** Deploys ask nothing. */
  autoConfirm: boolean;
}

/** Reads `NANGO_*` and `HAWSER_*` of a project's `.env`, so that projects made for the `nango` command work. */
export function readProjectConfig(
  environment: string,
  dotenv: Readonly<Record<string, string | undefined>>,
  env: ProcessEnv = process.env,
): ProjectConfig {
  const text = (name: string): string | undefined => env[name]?.trim() || dotenv[name]?.trim() || undefined;
  const suffix = environment.toUpperCase().replaceAll('-', '_');
  const url = (text('HAWSER_URL') ?? text('NANGO_HOSTPORT'))?.replace(/\/+$/, '');
  const apiKey = text('HAWSER_API_KEY') ?? text(`NANGO_SECRET_KEY_${suffix}`) ?? text('NANGO_SECRET_KEY');
  return {
    server: url === undefined || apiKey === undefined ? undefined : { url, apiKey },
    autoConfirm: text('NANGO_DEPLOY_AUTO_CONFIRM') === 'true',
  };
}

/** True when only this machine can reach the address. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}
