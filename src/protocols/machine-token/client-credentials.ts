/** The client credentials grant with every way a client can prove itself. Source: RFC 6749 4.4, 7523 2.2, 8705 2. */
import type { AssertionSpec, ClientCredentialsChoice, ClientCredentialsSpec } from '../../../catalogue/_spec/index.ts';
import { randomId } from '../../base/ids.ts';
import { fillTemplate } from '../../base/template.ts';
import { fillTable, holesFor, urlFrom, type Holes, type TemplateInput } from '../input.ts';
import { basicClientAuth } from '../oauth2/request.ts';
import { readTokenAnswer } from '../oauth2/token-answer.ts';
import { customerHoles, demand, secretValues } from './fields.ts';
import { signJwt, thumbprint } from './jws.ts';
import type { MachineInput, TokenPlan, TokenRequest } from './model.ts';
import { asCustomers } from './refusal.ts';
import { clientCertificateOf } from './tls.ts';

/** Wire contract H.7: the life of a token whose answer does not tell it. */
const LIFETIME_SECONDS = 55 * 60;
/** Source: RFC 7523 3: a short life; five minutes forgive a slow clock. */
const ASSERTION_SECONDS = 300;
/** Longest list of scopes that a connection may ask for. */
const SCOPES_CHARS_MAX = 2_000;

/** The spec with the app's choices applied. */
export function chosenClientCredentials(spec: ClientCredentialsSpec, input: TemplateInput): ClientCredentialsSpec {
  let chosen = spec;
  for (const [name, options] of Object.entries(spec.choices ?? {})) {
    const given = Object.hasOwn(input.integrationConfig, name) ? input.integrationConfig[name] : undefined;
    const option = given ?? input.provider.integrationConfig?.[name]?.default;
    if (typeof option !== 'string' || !Object.hasOwn(options, option)) continue;
    const choice = options[option] as ClientCredentialsChoice;
    chosen = {
      ...chosen,
      ...(choice.clientAuth !== undefined && { clientAuth: choice.clientAuth }),
      ...(choice.algorithm !== undefined && { assertion: { ...chosen.assertion, algorithm: choice.algorithm } }),
    };
  }
  return chosen;
}

/** Errors: `credential_incomplete`, `key_not_usable`, `certificate_*`, and those of templates. */
export function planClientCredentials(input: MachineInput & { spec: ClientCredentialsSpec }): TokenPlan {
  const spec = chosenClientCredentials(input.spec, input);
  return {
    kind: 'request',
    earlier: [],
    last: () => request(spec, input),
    read(answer, nowMs) {
      const response = { lifetimeSeconds: LIFETIME_SECONDS, ...spec.response };
      return asCustomers(readTokenAnswer({ response }, answer, nowMs, secretValues(input)));
    },
  };
}

function request(spec: ClientCredentialsSpec, input: MachineInput): TokenRequest {
  const { token } = spec;
  const holes = holesFor(input, customerHoles(input.fields));
  const url = urlFrom(token.url, holes);
  const headers: Record<string, string> = { accept: 'application/json' };
  const params = new Map([['grant_type', 'client_credentials']]);
  const scope = scopesOf(spec, input.connectionConfig).join(spec.scopes?.separator ?? ' ');
  if (scope !== '') params.set('scope', scope);
  authenticate(spec, input, holes, url, params, headers);
  for (const [name, value] of Object.entries(fillTable(token.params ?? {}, holes))) params.set(name, value);
  for (const [name, value] of Object.entries(fillTable(token.headers ?? {}, holes, 'header'))) {
    headers[name.toLowerCase()] = value;
  }
  const json = token.body === 'json';
  headers['content-type'] = json ? 'application/json' : 'application/x-www-form-urlencoded';
  const tls = clientCertificateOf(input.provider, input.fields);
  return {
    method: 'POST',
    url,
    headers,
    body: json ? JSON.stringify(Object.fromEntries(params)) : new URLSearchParams([...params]).toString(),
    ...(tls !== undefined && { tls }),
  };
}

function authenticate(
  spec: ClientCredentialsSpec,
  input: MachineInput,
  holes: Holes,
  url: URL,
  params: Map<string, string>,
  headers: Record<string, string>,
): void {
  const clientId = demand(input, 'client_id');
  switch (spec.clientAuth ?? 'body') {
    case 'basic':
      headers['authorization'] = basicClientAuth({ clientId, clientSecret: demand(input, 'client_secret') });
      return;
    case 'body':
      params.set('client_id', clientId);
      params.set('client_secret', demand(input, 'client_secret'));
      return;
    case 'tls':
      demand(input, 'client_certificate');
      params.set('client_id', clientId);
      return;
    case 'private_key_jwt':
      params.set('client_id', clientId);
      params.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      params.set('client_assertion', assertion(spec.assertion ?? {}, input, holes, url, clientId));
  }
}

/** Source: RFC 7523 3: issuer and subject are the client, the audience is the server, the id is new each time. */
function assertion(spec: AssertionSpec, input: MachineInput, holes: Holes, url: URL, clientId: string): string {
  const fill = (template: string | undefined) =>
    template === undefined ? undefined : fillTemplate(template, holes.values, { fields: holes.fields });
  const nowSeconds = Math.floor(input.nowMs / 1_000);
  const keyId = fill(spec.keyId);
  return signJwt({
    algorithm: spec.algorithm ?? 'RS256',
    key: demand(input, 'client_private_key'),
    header: {
      ...(keyId !== undefined && { kid: keyId }),
      ...(spec.thumbprint && { 'x5t#S256': thumbprint(demand(input, 'client_certificate')) }),
    },
    claims: {
      iss: clientId,
      sub: clientId,
      aud: fill(spec.audience) ?? url.href,
      jti: randomId(),
      iat: nowSeconds,
      nbf: nowSeconds,
      exp: nowSeconds + (spec.lifetimeSeconds ?? ASSERTION_SECONDS),
    },
  });
}

/** Scopes that a connection asks for: its own `oauth_scopes`, else the provider's default. Source: wire contract H.7. */
export function scopesOf(spec: ClientCredentialsSpec, connectionConfig: Record<string, unknown>): string[] {
  const own = connectionConfig['oauth_scopes'];
  const text = Array.isArray(own) ? own.filter((one) => typeof one === 'string').join(' ') : own;
  if (typeof text !== 'string' || text.length > SCOPES_CHARS_MAX) return spec.scopes?.default ?? [];
  const scopes = [...new Set(text.split(/[\s,]+/).filter((scope) => /^[\x21-\x7e]+$/.test(scope)))];
  return scopes.length > 0 ? scopes : (spec.scopes?.default ?? []);
}
