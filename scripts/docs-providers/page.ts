/** The Markdown of a provider's page: everything in it comes from the provider file. */
import type {
  ApiAuth,
  DisconnectSpec,
  Fields,
  OAuth2Spec,
  ProviderSpec,
  Rotation,
} from '../../catalogue/_spec/index.ts';

import { modeSections } from './modes.ts';
import { webhookFacts } from './webhooks.ts';

const NOTE = '<!-- Generated from the catalogue by scripts/docs-providers.ts. Do not edit. -->';

export function providerIndex(specs: readonly ProviderSpec[]): string {
  const rows = specs.map(
    (spec) =>
      `| [${spec.displayName}](providers/${spec.name}.md) | \`${spec.name}\` | ${spec.authMode} | ${spec.categories.join(', ')} | ${spec.emulator === undefined ? '' : 'yes'} |`,
  );
  return page([
    NOTE,
    '# Providers',
    'What can be connected. A provider is one file in `catalogue/`; these pages are written from them.',
    ['| Provider | Name | Mode | Categories | Emulated |', '| --- | --- | --- | --- | --- |', ...rows].join('\n'),
  ]);
}

export function providerPage(spec: ProviderSpec): string {
  return page([
    NOTE,
    `# ${spec.displayName}`,
    `${spec.summary}`,
    facts(spec),
    section('What to know', list(spec.gotchas)),
    section('Set it up', setUp(spec)),
    section('What the customer fills in', fieldTable({ ...spec.credentials, ...asked(spec.connectionConfig) })),
    section('What is learned on connect', fieldTable(learned(spec.connectionConfig))),
    spec.oauth2 === undefined ? '' : section('OAuth 2.0', oauthFacts(spec.oauth2)),
    ...modeSections(spec).map(([title, lines]) => section(title, list(lines))),
    section('API calls', apiFacts(spec)),
    spec.webhooks === undefined ? '' : section('Webhooks', list(webhookFacts(spec.webhooks))),
    section('Disconnecting', disconnectText(spec.disconnect)),
    section('Sources', list(spec.sources)),
  ]);
}

function facts(spec: ProviderSpec): string {
  return list([
    `Name: \`${spec.name}\``,
    `Mode: \`${spec.authMode}\``,
    `Categories: ${spec.categories.join(', ')}`,
    `Provider's documentation: <${spec.docsUrl}>`,
    ...(spec.setupGuideUrl === undefined ? [] : [`How to register an app: <${spec.setupGuideUrl}>`]),
    ...(spec.emulator === undefined ? [] : [`Emulator: \`hawser emulate ${spec.emulator}\``]),
  ]);
}

function setUp(spec: ProviderSpec): string {
  const config = Object.fromEntries(
    Object.entries(spec.integrationConfig ?? {})
      .filter(([, field]) => !field.optional || field.example !== undefined)
      .map(([name, field]) => [name, field.example ?? field.default ?? '…']),
  );
  const body = {
    provider: spec.name,
    unique_key: spec.name,
    ...(spec.authMode === 'APP' && {
      credentials: { type: 'APP', app_id: '…', app_link: '…', private_key: '…' },
    }),
    ...(['OAUTH2', 'OAUTH1', 'AWS_SIGV4'].includes(spec.authMode)
      ? {
          credentials: {
            type: spec.authMode,
            client_id: '…',
            client_secret: '…',
            ...(spec.oauth2?.scopes?.default === undefined ? {} : { scopes: spec.oauth2.scopes.default.join(',') }),
          },
        }
      : {}),
    ...(Object.keys(config).length === 0 ? {} : { integration_config: config }),
  };
  const parts = ['`POST /integrations` with:', fence('json', JSON.stringify(body, null, 2))];
  if (spec.integrationConfig !== undefined)
    parts.push('Settings of the integration:', fieldTable(spec.integrationConfig));
  if (spec.emulator !== undefined) {
    parts.push('Add `"custom": { "emulated": "true" }` to use the emulator instead of the provider.');
  }
  return parts.join('\n\n');
}

function asked(fields: Fields | undefined): Fields {
  return Object.fromEntries(Object.entries(fields ?? {}).filter(([, field]) => !field.automated));
}

function learned(fields: Fields | undefined): Fields {
  return Object.fromEntries(Object.entries(fields ?? {}).filter(([, field]) => field.automated));
}

function fieldTable(fields: Fields): string {
  const rows = Object.entries(fields)
    .toSorted(([, a], [, b]) => (a.order ?? 0) - (b.order ?? 0))
    .map(([name, field]) => {
      const kind =
        field.kind === 'enum' ? (field.options ?? []).map((option) => `\`${option}\``).join(', ') : field.kind;
      const notes = [
        field.optional ? 'optional' : field.automated ? '' : 'required',
        field.secret ? 'secret' : '',
        field.default === undefined ? '' : `default \`${field.default}\``,
        field.hosts === undefined ? '' : `only ${field.hosts.map((host) => `\`${host}\``).join(', ')}`,
      ];
      return `| \`${name}\` | ${kind} | ${notes.filter((note) => note !== '').join(', ')} | ${field.title}: ${field.description} |`;
    });
  return rows.length === 0 ? '' : ['| Field | Kind | | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function oauthFacts(oauth2: OAuth2Spec): string {
  const { authorize, token, scopes, response } = oauth2;
  const removed = Object.entries(authorize.params ?? {}).flatMap(([name, value]) =>
    value === null ? [`\`${name}\``] : [],
  );
  const lines = [
    ...(oauth2.issuer === undefined
      ? []
      : [`Issuer: \`${oauth2.issuer}\`, whose metadata fills the URLs that are not set`]),
    `Authorize: \`${authorize.url}\``,
    ...pairLines('Always sent to the authorize page', authorize.params),
    ...renameLines('Names at the authorize page', authorize.rename),
    ...(removed.length === 0 ? [] : [`Not sent to the authorize page: ${removed.join(', ')}`]),
    `Token: ${token.method ?? 'POST'} \`${token.url}\`, ${token.body ?? 'form'} body, client ${CLIENT_AUTH[token.clientAuth ?? 'body']}`,
    ...(token.omit === undefined
      ? []
      : [`Not sent to the token endpoint: ${token.omit.map((name) => `\`${name}\``).join(', ')}`]),
    ...pairLines('Always sent to the token endpoint', token.params),
    ...renameLines('Names at the token endpoint', token.rename),
    ...pairLines('Headers of the token endpoint', token.headers),
    scopeText(scopes),
    oauth2.pkce === 'S256' ? 'PKCE: S256' : `PKCE: off. ${oauth2.pkceOffReason ?? ''}`,
    `State: ${oauth2.callback.stateEcho === 'always' ? 'always comes back' : 'may be dropped; the answer is then matched by the browser'}`,
    `Refresh: ${oauth2.refresh === undefined ? 'none' : rotationText(oauth2.refresh.rotation)}`,
    ...answerLines(oauth2),
    ...(response?.lifetimeSeconds === undefined ? [] : [`Life of a token: ${response.lifetimeSeconds} s`]),
    ...(oauth2.choices === undefined
      ? []
      : [
          `Chosen per integration: ${Object.keys(oauth2.choices)
            .map((name) => `\`${name}\``)
            .join(', ')}`,
        ]),
  ];
  return list(lines);
}

function pairLines(title: string, table: Record<string, string | null> | undefined): string[] {
  const pairs = Object.entries(table ?? {}).filter(([, value]) => value !== null);
  return pairs.length === 0 ? [] : [`${title}: ${pairs.map(([name, value]) => `\`${name}=${value}\``).join(', ')}`];
}

function renameLines(title: string, table: Record<string, string> | undefined): string[] {
  const pairs = Object.entries(table ?? {});
  return pairs.length === 0
    ? []
    : [`${title}: ${pairs.map(([ours, theirs]) => `\`${theirs}\` for \`${ours}\``).join(', ')}`];
}

/** What is odd about the provider's answers. */
function answerLines({ callback, response }: OAuth2Spec): string[] {
  const lines: string[] = [];
  if (callback.code !== undefined) lines.push(`The code comes back as \`${callback.code}\``);
  const { accessToken, success, errorStatus, expiry } = response ?? {};
  if (accessToken !== undefined)
    lines.push(`The token is at ${accessToken.map((path) => `\`${path}\``).join(', else ')}`);
  if (success !== undefined) lines.push(`A success has \`${success.path}: ${String(success.equals)}\``);
  if (errorStatus !== undefined) lines.push(`A refusal has status ${errorStatus}`);
  if (expiry?.kind === 'none') lines.push('The end of a token is not told; a 401 shows it');
  if (expiry?.kind === 'at') lines.push(`The end of a token is a moment, in \`${expiry.path}\``);
  return lines;
}

const CLIENT_AUTH = {
  body: 'id and secret in the body',
  basic: 'id and secret by HTTP Basic',
  none: 'without secret',
} as const;

function scopeText(scopes: OAuth2Spec['scopes']): string {
  if (scopes === undefined) return 'Scopes: any, joined by a space';
  const parts = [
    scopes.allowed === undefined ? 'any' : words(scopes.allowed),
    scopes.choose === 'one' ? 'one at a time' : `joined by \`${scopes.separator ?? ' '}\``,
    scopes.default === undefined ? '' : `default ${words(scopes.default)}`,
  ];
  return `Scopes: ${parts.filter((part) => part !== '').join('; ')}`;
}

function words(names: string[] | undefined): string {
  return (names ?? []).map((name) => `\`${name}\``).join(', ');
}

function rotationText(rotation: Rotation): string {
  switch (rotation.kind) {
    case 'none':
      return 'the refresh token stays the same';
    case 'overlap':
      return `a used refresh token works on for ${rotation.graceSeconds} s`;
    case 'strict':
      return 'a used refresh token dies at once';
    case 'unknown':
      return 'whether the refresh token changes is not documented; handled as if it dies at once';
  }
}

function apiFacts(spec: ProviderSpec): string {
  const { api } = spec;
  return list([
    `Base: \`${api.baseUrl}\``,
    `Credential: ${authText(api.auth)}`,
    ...Object.entries(api.headers ?? {}).map(([name, value]) => `Header \`${name}: ${value}\``),
    ...(api.verification === undefined
      ? ['No verification call']
      : [`Verified by ${api.verification.method} \`${api.verification.path}\``]),
    ...(api.paginate === undefined ? [] : [`Pages by: ${api.paginate.type}`]),
    ...(api.retry?.at === undefined ? [] : [`Tells when to come back in: \`${api.retry.at.join('`, `')}\``]),
    ...(api.retry?.after === undefined ? [] : [`Tells how long to wait in: \`${api.retry.after.join('`, `')}\``]),
    ...(api.idempotencyHeader === undefined ? [] : [`A repeated POST is made safe by \`${api.idempotencyHeader}\``]),
    ...(api.spentAfterWriteWithScope === undefined
      ? []
      : [`Scope \`${api.spentAfterWriteWithScope}\` is used up by one successful write`]),
  ]);
}

function authText(auth: ApiAuth): string {
  switch (auth.in) {
    case 'header':
      return `header \`${auth.name}: ${auth.value}\``;
    case 'basic':
      return `HTTP Basic, user \`${auth.username}\`, ${auth.password === '' ? 'empty password' : `password \`${auth.password}\``}`;
    case 'query':
      return `query parameter \`${auth.name}\``;
    case 'signature':
      return 'a signature of each request';
    case 'none':
      return 'none';
  }
}

function disconnectAuth(auth: ApiAuth | undefined): string {
  if (auth === undefined) return '';
  return auth.in === 'none' ? ', authorised by its body' : `, authorised by ${authText(auth)}`;
}

function disconnectText(disconnect: DisconnectSpec): string {
  switch (disconnect.kind) {
    case 'call':
      return `Deleting a connection calls ${disconnect.method} \`${disconnect.url}\`${disconnectAuth(disconnect.auth)}; the grant is gone at the provider too.`;
    case 'rfc7009':
      return `Deleting a connection revokes its tokens (RFC 7009) at \`${disconnect.url}\`${disconnect.optional ? ', where such an address is known' : ''}.`;
    case 'unsupported':
      return `The provider offers no revocation. ${disconnect.customerMustDo}`;
    case 'nothing':
      return 'Nothing was granted, so nothing is revoked.';
  }
}

function section(title: string, body: string): string {
  return body === '' ? '' : `## ${title}\n\n${body}`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function page(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
