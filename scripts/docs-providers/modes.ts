/** What a provider's page says about the modes in `catalogue/_spec/modes.ts`. */
import type { ClientCredentialsSpec, MachineClientAuth, ProviderSpec } from '../../catalogue/_spec/index.ts';

/** Title and lines of each section that this provider has. */
export function modeSections(spec: ProviderSpec): [title: string, lines: string[]][] {
  return spec.clientCredentials === undefined ? [] : [['Client credentials', clientFacts(spec.clientCredentials)]];
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
