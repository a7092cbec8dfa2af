/** AWS of a derived emulator: a role is assumed, and every signature is checked. Source: the SigV4 pages of AWS. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ProviderSpec, SigV4Spec } from '../../catalogue/_spec/index.ts';
import type { ApiCredential, MachineHabit } from '../engine/definition.ts';
import type { HttpReply, HttpRequest } from '../engine/http.ts';
import type { Mount } from '../engine/mount.ts';
import { customerForm } from './customer.ts';
import { issueDirectly, LIFE_SECONDS, secretBeside } from './issue.ts';
import { escapeStrictly } from './percent.ts';
import { pathPatterns } from './template.ts';

const SECRET = 'aws secret';
/** Requests older than this are refused. */
const SKEW_MS = 5 * 60_000;
/** Its paths are encoded once, all others' twice. */
const SINGLE_ENCODED = 's3';

type Settings = Readonly<Record<string, string>>;

export function assumeRole(spec: ProviderSpec, sigv4: SigV4Spec, settings: Settings): MachineHabit {
  return {
    paths: pathPatterns(sigv4.stsUrl, settings),
    answer(mount, request) {
      mount.recorder.countTokenRequest();
      const form = Object.fromEntries(new URLSearchParams(request.rawBody));
      const read = readHeader(request);
      const app = mount.state.apps.get(read?.id ?? '');
      if (app === undefined) return refuse('InvalidClientTokenId');
      if (read === undefined || !isSigned(read, mount, request, app.liveSecret, 'sts'))
        return refuse('SignatureDoesNotMatch');
      if (request.method !== 'POST' || form['Action'] !== 'AssumeRole') return refuse('InvalidAction');
      const account = [...mount.state.accounts.values()].find((one) => {
        const wanted = customerForm(spec, one, 'none');
        const external = form['ExternalId'];
        return wanted['role_arn'] === form['RoleArn'] && (external === undefined || external === wanted['external_id']);
      });
      if (account === undefined) return refuse('AccessDenied');
      const { accessToken } = issueDirectly(mount, account, { clientId: app.clientId, lifeSeconds: LIFE_SECONDS });
      const end = new Date(mount.clock.now() + LIFE_SECONDS * 1_000).toISOString();
      return xml(
        200,
        `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>${idOf(accessToken)}</AccessKeyId><SecretAccessKey>${secretBeside(accessToken, SECRET)}</SecretAccessKey><SessionToken>${accessToken}</SessionToken><Expiration>${end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
      );
    },
  };
}

/** The session token of a call that is signed with the keys that came with it. */
export function sigV4Credential(settings: Settings, request: HttpRequest, mount: Mount): ApiCredential | undefined {
  const token = request.headers['x-amz-security-token'];
  const read = readHeader(request);
  if (token === undefined || read?.id !== idOf(token)) return undefined;
  const service = settings['service'] ?? read.service;
  const isRight = isSigned(read, mount, request, secretBeside(token, SECRET), service);
  return isRight ? { kind: 'token', value: token } : undefined;
}

function idOf(token: string): string {
  return `ASIA${createHash('sha256').update(token).digest('hex').slice(0, 16).toUpperCase()}`;
}

interface Header {
  id: string;
  day: string;
  region: string;
  service: string;
  signed: string[];
  signature: string;
}

function readHeader(request: HttpRequest): Header | undefined {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const match = pattern.exec(request.headers['authorization'] ?? '');
  if (match === null) return undefined;
  const [, id = '', day = '', region = '', service = '', signed = '', signature = ''] = match;
  return { id, day, region, service, signed: signed.split(';'), signature };
}

function isSigned(read: Header, mount: Mount, request: HttpRequest, secret: string, service: string): boolean {
  const { day, region, signed, signature } = read;
  const { headers } = request;
  const date = headers['x-amz-date'] ?? '';
  const atMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(atMs - mount.clock.now()) <= SKEW_MS) || !date.startsWith(day) || read.service !== service)
    return false;
  const mustBe = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  if (mustBe.some((name) => !signed.includes(name))) return false;
  const hash = createHash('sha256').update(request.rawBody).digest('hex');
  const told = headers['x-amz-content-sha256'] ?? hash;
  if (told !== hash && !(told === 'UNSIGNED-PAYLOAD' && service === SINGLE_ENCODED)) return false;
  const path = `${mount.basePath}${request.path}`;
  const canonical = [
    request.method,
    service === SINGLE_ENCODED ? path : path.split('/').map(escapeStrictly).join('/'),
    canonicalQuery(request.search.slice(1)),
    ...signed.map((name) => `${name}:${(headers[name] ?? '').trim()}`),
    '',
    signed.join(';'),
    told,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request');
  return timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'));
}

function canonicalQuery(search: string): string {
  return search
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const [name = '', ...rest] = pair.split('=');
      return [escapeStrictly(decodeURIComponent(name)), escapeStrictly(decodeURIComponent(rest.join('=')))];
    })
    .toSorted(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function refuse(code: string): HttpReply {
  return xml(403, `<ErrorResponse><Error><Code>${code}</Code><Message>No.</Message></Error></ErrorResponse>`);
}

function xml(status: number, body: string): HttpReply {
  return { status, headers: { 'Content-Type': 'text/xml' }, body };
}
