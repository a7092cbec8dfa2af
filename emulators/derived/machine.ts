/**
 * Modes without a page: the customer's own client asks for a token, or logs in, or signs tokens itself. The emulator
 * holds each request against the form of its accounts and refuses everything else.
 */
import type { ClientCredentialsSpec, LoginRequestSpec, ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential, MachineHabit } from '../engine/definition.ts';
import {
  bodyFormat,
  BodyMalformed,
  type HttpReply,
  type HttpRequest,
  isObject,
  jsonReply,
  parseJson,
} from '../engine/http.ts';
import type { Mount } from '../engine/mount.ts';
import type { Account } from '../engine/types.ts';
import { installations } from './app-install.ts';
import { readBasic } from './basic.ts';
import { customerForm, customerPair, pairKind, withHalves } from './customer.ts';
import { issueDirectly, LIFE_SECONDS } from './issue.ts';
import { readJwt } from './jwt.ts';
import { oauth1Tokens } from './oauth1.ts';
import { assumeRole } from './sigv4.ts';
import { capture, hasHoles, pathPatterns } from './template.ts';
import { replyOf } from './token.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Settings = Readonly<Record<string, string>>;

/** The endpoints of a mode that is not OAuth 2's code flow; undefined for modes without any. */
export function machineHabit(spec: ProviderSpec, settings: Settings): MachineHabit | undefined {
  const { clientCredentials, login, oauth1, sigv4, app } = spec;
  if (oauth1 !== undefined) return oauth1Tokens(spec, oauth1, settings);
  if (sigv4 !== undefined) return assumeRole(spec, sigv4, settings);
  if (app !== undefined) return installations(spec, app);
  if (clientCredentials !== undefined) {
    const chosen = choose(clientCredentials, spec, settings);
    return {
      paths: pathPatterns(chosen.token.url, settings),
      answer: (mount, request) => answering(spec, mount, () => clientOf(spec, chosen, settings, mount, request)),
    };
  }
  if (login === undefined) return undefined;
  if (login.steps !== undefined) throw new Error('A login of several steps cannot be played.');
  const paths = pathPatterns(login.token.url, settings);
  return {
    paths,
    answer: (mount, request) =>
      answering(spec, mount, () => ({ account: loggedIn(spec, login.token, mount, request), scope: '' })),
  };
}

/** The algorithm of what the customer's key signs. */
export function signingAlgorithm(spec: ProviderSpec, settings: Settings): string {
  if (spec.jwt !== undefined) return spec.jwt.algorithm;
  const { clientCredentials } = spec;
  if (clientCredentials === undefined) return 'RS256';
  return choose(clientCredentials, spec, settings).assertion?.algorithm ?? 'RS256';
}

function choose(spec: ClientCredentialsSpec, provider: ProviderSpec, settings: Settings): ClientCredentialsSpec {
  let chosen = spec;
  for (const [name, options] of Object.entries(spec.choices ?? {})) {
    const choice = options[settings[name] ?? provider.integrationConfig?.[name]?.default ?? ''];
    if (choice?.clientAuth !== undefined) chosen = { ...chosen, clientAuth: choice.clientAuth };
    if (choice?.algorithm !== undefined) {
      chosen = { ...chosen, assertion: { ...chosen.assertion, algorithm: choice.algorithm } };
    }
  }
  if (chosen.clientAuth === 'tls') throw new Error('A client that proves itself by TLS cannot be played without TLS.');
  return chosen;
}

function answering(spec: ProviderSpec, mount: Mount, prove: () => { account: Account; scope: string }): HttpReply {
  mount.recorder.countTokenRequest();
  let proven: { account: Account; scope: string };
  try {
    proven = prove();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const code = error.status === 401 ? 'invalid_client' : 'invalid_request';
    return jsonReply(error.status, { error: code, error_description: error.message });
  }
  const { account, scope } = proven;
  const { grant, accessToken } = issueDirectly(mount, account, { scope, lifeSeconds: LIFE_SECONDS });
  const nowMs = mount.clock.now();
  const part = spec.clientCredentials ?? spec.login ?? {};
  const knob = (name: string) => mount.knobs.get(name);
  const facts = { account, grant, accessToken, expiresInSeconds: LIFE_SECONDS, refreshed: false, nowMs, knob };
  return jsonReply(200, replyOf(spec, part, facts));
}

/** The account whose client has proven itself, and the scope it asks for. */
function clientOf(
  spec: ProviderSpec,
  { token, clientAuth = 'body', scopes, assertion = {} }: ClientCredentialsSpec,
  settings: Settings,
  mount: Mount,
  request: HttpRequest,
): { account: Account; scope: string } {
  const sent = readParams(request, token.body ?? 'form');
  const expected = new Set(['grant_type', 'scope', ...Object.keys(token.params ?? {})]);
  if (sent['grant_type'] !== (token.params?.['grant_type'] ?? 'client_credentials'))
    throw new Refused(400, 'The grant type is not supported.');
  for (const [name, template] of Object.entries(token.params ?? {})) {
    if (!hasHoles(template) && sent[name] !== template) throw new Refused(400, `"${name}" must be "${template}".`);
  }
  const basic = readBasic(request.headers['authorization'], { formEncoded: true });
  if ((clientAuth === 'basic') !== (request.headers['authorization'] !== undefined))
    throw new Refused(401, 'Authorization is missing, or must not be sent.');
  const id = clientAuth === 'basic' ? basic?.username : sent['client_id'];
  if (clientAuth !== 'basic') expected.add('client_id');
  if (clientAuth === 'body') expected.add('client_secret');
  if (clientAuth === 'private_key_jwt')
    for (const name of ['client_assertion', 'client_assertion_type']) expected.add(name);
  const foreign = Object.keys(sent).find((name) => !expected.has(name));
  if (foreign !== undefined) throw new Refused(400, `"${foreign}" is not known here.`);

  const algorithm = assertion.algorithm ?? 'RS256';
  const account = accountWith(spec, mount, algorithm, (form) => form['client_id'] === id);
  const secret = customerForm(spec, account, algorithm)['client_secret'];
  if (clientAuth === 'basic' && basic?.password !== secret) throw new Refused(401, 'The secret is wrong.');
  if (clientAuth === 'body' && sent['client_secret'] !== secret) throw new Refused(401, 'The secret is wrong.');
  if (clientAuth === 'private_key_jwt') {
    const rule = { algorithm, key: customerPair(pairKind(algorithm)).publicKey, nowMs: mount.clock.now() };
    const read = readJwt(sent['client_assertion'] ?? '', {
      ...rule,
      lifetimeSecondsMax: assertion.lifetimeSeconds ?? 300,
    });
    // A template's value is the developer's; without one the audience is the token endpoint, at the provider's host.
    const audience = settings[/integrationConfig\.([^}]+)/.exec(assertion.audience ?? '')?.[1] ?? ''];
    const isOurs = read !== undefined && read.claims['iss'] === id && read.claims['sub'] === id;
    const isMeant = audience === undefined || read?.claims['aud'] === audience;
    if (sent['client_assertion_type'] !== ASSERTION_TYPE || !isOurs || !isMeant || !isFresh(mount, read.claims['jti']))
      throw new Refused(401, 'The assertion is not valid.');
  }
  return { account, scope: (sent['scope'] ?? '').split(scopes?.separator ?? ' ').join(' ') };
}

/** Ids of assertions that were seen, by emulator: each is good for once (RFC 7523 3, item 7). */
const seenIds = new WeakMap<Mount, Set<unknown>>();

function isFresh(mount: Mount, id: unknown): boolean {
  const seen = seenIds.get(mount) ?? new Set();
  seenIds.set(mount, seen);
  if (typeof id !== 'string' || seen.has(id)) return false;
  seen.add(id);
  return true;
}

/** The account whose login this is. */
function loggedIn(spec: ProviderSpec, login: LoginRequestSpec, mount: Mount, request: HttpRequest): Account {
  const { method = 'POST', params = {}, headers = {}, basic } = login;
  if (request.method !== method) throw new Refused(405, `Use ${method}.`);
  const sent = method === 'GET' ? {} : readParams(request, login.body ?? 'json');
  const foreign = Object.keys(sent).find((name) => !Object.hasOwn(params, name));
  if (foreign !== undefined) throw new Refused(400, `"${foreign}" is not known here.`);
  const values: Record<string, string> = {};
  const take = (template: string, text: string | undefined, name: string) => {
    const found = text === undefined ? undefined : capture(template, text);
    if (found === undefined) throw new Refused(400, `"${name}" is missing or wrong.`);
    Object.assign(values, found);
  };
  for (const [name, template] of Object.entries(params)) take(template, sent[name], name);
  for (const [name, template] of Object.entries(headers)) take(template, request.headers[name.toLowerCase()], name);
  if (basic !== undefined) {
    const pair = readBasic(request.headers['authorization']);
    take(basic.username, pair?.username, 'user name');
    take(basic.password, pair?.password, 'password');
  }
  return accountWith(spec, mount, 'RS256', (form) =>
    Object.entries(values).every(([hole, value]) => {
      const [group, name = ''] = hole.split('.');
      return group !== 'credentials' || form[name] === value;
    }),
  );
}

function accountWith(
  spec: ProviderSpec,
  mount: Mount,
  algorithm: string,
  fits: (form: Record<string, string>) => boolean,
): Account {
  const found = [...mount.state.accounts.values()].find((one) => fits(customerForm(spec, one, algorithm)));
  if (found === undefined) throw new Refused(401, 'The credentials are wrong.');
  return found;
}

function readParams(request: HttpRequest, format: 'form' | 'json'): Record<string, string> {
  if (bodyFormat(request.headers) !== format) throw new Refused(415, `The body must be ${format}.`);
  if (format === 'form') return Object.fromEntries(new URLSearchParams(request.rawBody));
  try {
    const body = parseJson(request.rawBody);
    if (isObject(body) && Object.values(body).every((value) => typeof value === 'string'))
      return body as Record<string, string>;
  } catch (error) {
    if (!(error instanceof BodyMalformed)) throw error;
  }
  throw new Refused(400, 'The body is no JSON object of texts.');
}

/** The account that has signed this token itself, as its key pair; undefined when none has. */
export function signedCredential(spec: ProviderSpec, text: string, mount: Mount): ApiCredential | undefined {
  const { jwt } = spec;
  if (jwt === undefined) return undefined;
  for (const account of mount.state.accounts.values()) {
    const form = withHalves(spec, customerForm(spec, account, jwt.algorithm));
    const values = Object.fromEntries(Object.entries(form).map(([name, value]) => [`credentials.${name}`, value]));
    const fill = (template: string) => template.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => values[name] ?? '');
    const key =
      jwt.algorithm === 'HS256'
        ? Buffer.from(fill(jwt.key), jwt.keyEncoding ?? 'hex')
        : customerPair(pairKind(jwt.algorithm)).publicKey;
    const rule = { algorithm: jwt.algorithm, key, nowMs: mount.clock.now() };
    const read = readJwt(text, { ...rule, lifetimeSecondsMax: jwt.lifetimeSeconds });
    if (read === undefined) continue;
    const fits = (table: Record<string, string>, given: Record<string, unknown>) =>
      Object.entries(table).every(([name, template]) => given[name] === fill(template));
    const { apiKey } = account;
    if (fits(jwt.claims, read.claims) && fits(jwt.header ?? {}, read.header) && apiKey !== undefined)
      return { kind: 'key-pair', ...apiKey };
  }
  return undefined;
}
