/** What a provider's page says about the modes in `catalogue/_spec/modes.ts`. */
import type {
  ClientCredentialsSpec,
  AppSpec,
  JwtSpec,
  LoginRequestSpec,
  LoginSpec,
  MachineClientAuth,
  OAuth1Spec,
  ProviderSpec,
  SigV4Spec,
} from '../../catalogue/_spec/index.ts';

/** Title and lines of each section that this provider has. */
export function modeSections(spec: ProviderSpec): [title: string, lines: string[]][] {
  const { clientCredentials, jwt, login, oauth1, sigv4, app } = spec;
  return [
    ...section('Client credentials', clientCredentials && clientFacts(clientCredentials)),
    ...section('Signed token', jwt && jwtFacts(jwt)),
    ...section('OAuth 1.0a', oauth1 && oauth1Facts(oauth1)),
    ...section('AWS Signature Version 4', sigv4 && sigv4Facts(sigv4)),
    ...section('Installed app', app && appFacts(app)),
    ...section('Login', login && loginFacts(login)),
  ];
}

function section(title: string, lines: string[] | undefined): [string, string[]][] {
  return lines === undefined ? [] : [[title, lines]];
}

function oauth1Facts(spec: OAuth1Spec): string[] {
  const params = Object.entries(spec.authorize.params ?? {}).map(([name, value]) => `\`${name}=${value}\``);
  return [
    `Request token: POST \`${spec.requestToken.url}\``,
    `Authorize: \`${spec.authorize.url}\`${params.length === 0 ? '' : ` with ${params.join(', ')}`}`,
    `Access token: POST \`${spec.accessToken.url}\``,
    `Every call is signed by ${spec.signature}, forms in the body included`,
    ...(spec.scopes?.default === undefined
      ? []
      : [`Scopes: default ${spec.scopes.default.map((one) => `\`${one}\``).join(', ')}`]),
  ];
}

function sigv4Facts({ service, region, stsUrl, unsignedPayload }: SigV4Spec): string[] {
  return [
    `Temporary keys: AssumeRole at \`${stsUrl}\` with the integration's own keys, for an hour`,
    `Every call is signed for service \`${service}\` and region \`${region}\``,
    unsignedPayload === undefined
      ? 'A body is read whole before it is sent: its hash is signed'
      : `A body is read whole before it is sent, but for: ${unsignedPayload.map((name) => `\`${name}\``).join(', ')}`,
  ];
}

function appFacts({ installUrl, installationUrl, tokenUrl }: AppSpec): string[] {
  return [
    `Installed at \`${installUrl}\``,
    `Checked at \`${installationUrl}\``,
    `Token: POST \`${tokenUrl}\`, as the app, by a JWT (RS256) of ten minutes`,
  ];
}

function loginFacts({ steps = [], token, response }: LoginSpec): string[] {
  const request = ({ method = 'POST', url, body = 'json', params = {}, basic }: LoginRequestSpec) => {
    const names = Object.keys(params).map((name) => `\`${name}\``);
    const carried = method === 'GET' ? '' : `, ${body} body${names.length === 0 ? '' : ` with ${names.join(', ')}`}`;
    return `${method} \`${url}\`${carried}${basic === undefined ? '' : ', HTTP Basic'}`;
  };
  const paths = response?.accessToken ?? ['access_token'];
  return [
    ...steps.map((step, index) => `Step ${index + 1}: ${request(step)}`),
    `Login: ${request(token)}`,
    `Token: ${paths.map((path) => `\`${path}\``).join(' or ')} of the answer`,
    ...(response?.lifetimeSeconds === undefined ? [] : [`Life of a token: ${response.lifetimeSeconds} s`]),
    'The login is repeated when the token ends',
  ];
}

function jwtFacts(jwt: JwtSpec): string[] {
  const table = (entries: Record<string, string>) =>
    Object.entries(entries).map(([name, template]) => `\`${name}: ${template}\``);
  return [
    `The token is a JWT signed here: ${jwt.algorithm}, key \`${jwt.key}\``,
    ...(jwt.split === undefined ? [] : [`\`${jwt.split.field}\` is split at \`${jwt.split.at}\``]),
    ...(jwt.header === undefined ? [] : [`Header: ${table(jwt.header).join(', ')}`]),
    `Claims: ${[...table(jwt.claims), '`iat`', '`exp`'].join(', ')}`,
    `Life of a token: ${jwt.lifetimeSeconds} s`,
  ];
}

const CLIENT_AUTH: Record<MachineClientAuth, string> = {
  body: 'id and secret in the body',
  basic: 'id and secret by HTTP Basic',
  private_key_jwt: 'an assertion signed with the private key (RFC 7523)',
  tls: 'the TLS client certificate (RFC 8705)',
};

function clientFacts(spec: ClientCredentialsSpec): string[] {
  const { token, assertion, certificate, scopes, response, choices } = spec;
  return [
    `Token: POST \`${token.url}\`, ${token.body ?? 'form'} body`,
    `The client proves itself by: ${CLIENT_AUTH[spec.clientAuth ?? 'body']}`,
    ...(assertion === undefined
      ? []
      : [`Assertion: ${assertion.algorithm ?? 'RS256'}, ${assertion.lifetimeSeconds ?? 300} s`]),
    ...(certificate === undefined ? [] : [`Client certificate for token and API calls: ${certificate}`]),
    scopes?.default === undefined
      ? 'Scopes: those of the connection’s `oauth_scopes`, else none is asked for'
      : `Scopes: those of the connection’s \`oauth_scopes\`, else ${scopes.default.map((one) => `\`${one}\``).join(', ')}`,
    `A new token is asked for when the old one ends${response?.lifetimeSeconds === undefined ? '; without a told end after 55 minutes' : ` or after ${response.lifetimeSeconds} s`}`,
    ...(choices === undefined
      ? []
      : [
          `Chosen per integration: ${Object.keys(choices)
            .map((name) => `\`${name}\``)
            .join(', ')}`,
        ]),
  ];
}
