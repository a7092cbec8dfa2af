/** Temporary keys of a customer's role. Source: AWS STS API, AssumeRole; wire contract H.7. */
import type { SigV4Spec } from '../../../catalogue/_spec/index.ts';
import { fillTemplate } from '../../base/template.ts';
import { holesFor, urlFrom, type Holes } from '../input.ts';
import { machineErrors } from '../machine-token/errors.ts';
import { customerHoles, demand, secretValues } from '../machine-token/fields.ts';
import type { MachineInput, TokenPlan, TokenRequest } from '../machine-token/model.ts';
import { cleanCode, cleanText } from '../oauth2/clean.ts';
import type { HttpAnswer, TokenAnswer, TokenFailureKind } from '../oauth2/token-answer.ts';
import { amzDate, sha256Hex, sigV4Header, type AwsKeys } from './signature.ts';

/** Wire contract H.7: an hour, which every role allows. */
const DURATION_SECONDS = 3_600;
const API_VERSION = '2011-06-15';
/** Shown in the customer's audit log. */
const SESSION_NAME = 'hawser';
const VALUE_CHARS_MAX = 8_192;

/** What STS says when our own keys are wrong: a fault of the integration. */
const OWN_FAULTS = new Set([
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'MissingAuthenticationToken',
]);

/** Errors: `credential_incomplete`, and those of templates. */
export function planAssumeRole(input: MachineInput & { spec: SigV4Spec }): TokenPlan {
  const { spec, client } = input;
  if (client === undefined)
    throw machineErrors.fail('credential_incomplete', { message: 'The integration has no keys.' });
  const holes = holesFor(input, customerHoles(input.fields));
  const region = filled(spec.region, holes);
  return {
    kind: 'request',
    earlier: [],
    last: () => request(input, holes, region, { accessKeyId: client.clientId, secretAccessKey: client.clientSecret }),
    read: (answer, nowMs) => read(answer, nowMs, [client.clientSecret, ...secretValues(input)], region),
  };
}

/** Service and region of the signature. Errors: `credential_incomplete`. */
export function placeOf(spec: SigV4Spec, holes: Holes): { service: string; region: string } {
  return { service: filled(spec.service, holes), region: filled(spec.region, holes) };
}

/** What the provider's file demands of the external id. */
export function externalIdRule(spec: SigV4Spec, holes: Holes): 'optional' | 'required' | 'fixed' {
  if (spec.externalId === undefined) return 'optional';
  const rule = fillTemplate(spec.externalId, holes.values, { fields: holes.fields });
  return rule === 'required' || rule === 'fixed' ? rule : 'optional';
}

function filled(template: string, holes: Holes): string {
  const value = fillTemplate(template, holes.values, { fields: holes.fields });
  if (value === undefined) throw machineErrors.fail('credential_incomplete');
  return value;
}

function request(input: MachineInput & { spec: SigV4Spec }, holes: Holes, region: string, keys: AwsKeys): TokenRequest {
  const url = urlFrom(input.spec.stsUrl, holes);
  const externalId = input.fields['external_id'];
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: API_VERSION,
    RoleArn: demand(input, 'role_arn'),
    RoleSessionName: SESSION_NAME,
    DurationSeconds: String(DURATION_SECONDS),
    ...(externalId !== undefined && { ExternalId: externalId }),
  }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-amz-date': amzDate(input.nowMs) };
  return {
    method: 'POST',
    url,
    headers,
    body,
    // The signature covers the host that is really called.
    sign: (target) => ({
      authorization: sigV4Header({
        method: 'POST',
        path: target.pathname,
        query: target.search.slice(1),
        headers: { host: target.host, ...headers },
        payloadHash: sha256Hex(body),
        keys,
        region,
        service: 'sts',
      }),
    }),
  };
}

function read(answer: HttpAnswer, nowMs: number, secrets: readonly string[], region: string): TokenAnswer {
  const { status } = answer;
  const text = answer.body.toString('utf8');
  const [id, secret, session, expiration] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'].map(
    (name) => element(text, name),
  );
  const expiresAtMs = Date.parse(expiration ?? '');
  if (status >= 200 && status < 300) {
    if (id === undefined || secret === undefined || session === undefined || !(expiresAtMs > nowMs)) {
      return { ok: false, kind: 'malformed', status };
    }
    const raw = { AccessKeyId: id, SecretAccessKey: secret, SessionToken: session, Expiration: expiration };
    return { ok: true, accessToken: session, expiresAtMs, metadata: { region }, raw };
  }
  const code = element(text, 'Code');
  const error = cleanCode(code, secrets);
  const description = cleanText(element(text, 'Message'), secrets);
  return {
    ok: false,
    kind: kindOf(status, code),
    status,
    ...(error !== undefined && { error }),
    ...(description !== undefined && { description }),
  };
}

function kindOf(status: number, code: string | undefined): TokenFailureKind {
  if (status === 429 || code === 'Throttling' || code === 'ThrottlingException') return 'rate_limited';
  if (status >= 500) return 'provider_down';
  if (code === undefined) return 'malformed';
  return OWN_FAULTS.has(code) ? 'invalid_client' : 'refused';
}

/** The text of the first element of this name; the answers are flat and hold no attributes there. */
function element(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  if (start === -1) return undefined;
  const from = start + name.length + 2;
  const end = xml.indexOf(`</${name}>`, from);
  if (end === -1 || end - from > VALUE_CHARS_MAX) return undefined;
  const value = xml
    .slice(from, end)
    .trim()
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
  return value === '' ? undefined : value;
}
