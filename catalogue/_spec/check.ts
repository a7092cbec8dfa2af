/**
 * The rules for a provider file. {@link checkProvider} says everything that is wrong with an entry in sentences; the
 * tests demand silence for every shipped one, and an author of a new file reads what to change.
 */
import { isDeepStrictEqual } from 'node:util';
import { checkField, hasBrokenHole, holesOf, urlTemplateProblem } from '../../src/base/template.ts';
import { DISCONNECT_HOLES, fieldsOf, SECRET_HOLES } from './holes.ts';
import type { ApiAuth, FieldSpec, OAuth2Spec, ProviderSpec } from './index.ts';
import { checkModes, checkParts, isCustomerHole, isLaterStep, modeTextsOf, modeUrlsOf } from './modes-check.ts';
import { providerSchema } from './schema.ts';
import { checkWebhooks } from './webhooks-schema.ts';

/** What a rule reports to. */
type Report = (where: string, problem: string) => void;

/**
 * Checks one entry. `fileName`: without folder and extension. `emulators`: the names that exist, when known.
 * Resolves to sentences, none when the entry is fine.
 */
export function checkProvider(
  entry: unknown,
  options: { fileName?: string; emulators?: readonly string[] } = {},
): string[] {
  const parsed = providerSchema.safeParse(entry);
  if (!parsed.success) {
    return parsed.error.issues.map((issue) => {
      const message = issue.code === 'invalid_key' ? issue.issues[0]?.message : issue.message;
      return `${issue.path.join('.') || '(entry)'}: ${message}`;
    });
  }
  const spec: ProviderSpec = parsed.data;
  const problems: string[] = [];
  const report: Report = (where, problem) => problems.push(`${where}: ${problem}`);

  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(entry)), entry))
    report('(entry)', 'does not survive a JSON round trip');
  if (options.fileName !== undefined && options.fileName !== spec.name)
    report('name', `must be the file name, ${options.fileName}`);
  if (options.emulators !== undefined && spec.emulator !== undefined && !options.emulators.includes(spec.emulator)) {
    report('emulator', `there is no emulator "${spec.emulator}"`);
  }
  spec.sources.forEach((source, index) => {
    if (!/read 20\d\d-[01]\d/.test(source)) report(`sources.${index}`, 'must say when it was read: (read YYYY-MM)');
  });
  checkMode(spec, report);
  checkTables(spec, report);
  checkUrls(spec, report);
  checkTexts(spec, report);
  if (spec.oauth2 !== undefined) checkOAuth2(spec.oauth2, spec, report);
  checkAccount(spec, report);
  checkVerification(spec, report);
  if (spec.webhooks !== undefined) checkWebhooks(spec.webhooks, spec, report);
  return problems;
}

/** The secret holes that a mode fills, beside `credentials.x`. */
const SECRETS: Record<ProviderSpec['authMode'], readonly string[]> = {
  OAUTH2: ['accessToken'],
  API_KEY: ['apiKey'],
  BASIC: ['username', 'password'],
  NONE: [],
  OAUTH2_CC: ['accessToken'],
  JWT: ['accessToken'],
  TWO_STEP: ['accessToken'],
  OAUTH1: ['accessToken'],
  AWS_SIGV4: [],
  APP: ['accessToken'],
};

function checkMode(spec: ProviderSpec, report: Report): void {
  checkParts(spec, report);
  checkModes(spec, report);
  if (spec.authMode === 'NONE' && spec.api.auth.in !== 'none') report('api.auth', 'authMode NONE sends no credential');
  if (spec.authMode !== 'NONE' && spec.api.auth.in === 'none' && secretsUsed(spec).length === 0) {
    report('api.auth', 'the credential is sent nowhere');
  }
  const policyNeedsGrant = spec.disconnect.kind === 'rfc7009' || spec.disconnect.kind === 'call';
  if (policyNeedsGrant && spec.authMode === 'NONE') report('disconnect', 'there is nothing to revoke in authMode NONE');
  // RFC 7009 2.1 names the client by its registration, which the app has in OAUTH2 only.
  if (spec.disconnect.kind === 'rfc7009' && spec.authMode !== 'OAUTH2' && spec.authMode !== 'NONE') {
    report('disconnect', `rfc7009 belongs to authMode OAUTH2; in ${spec.authMode} say the call itself (kind \`call\`)`);
  }
}

function secretsUsed(spec: ProviderSpec): string[] {
  return [...Object.values(spec.api.headers ?? {}), ...Object.values(spec.api.query ?? {})]
    .flatMap(holesOf)
    .filter(isSecretHole);
}

function isSecretHole(hole: string): boolean {
  return Object.hasOwn(SECRET_HOLES, hole) || isCustomerHole(hole);
}

function checkTables(spec: ProviderSpec, report: Report): void {
  for (const group of ['credentials', 'connectionConfig', 'integrationConfig'] as const) {
    for (const [name, field] of Object.entries(spec[group] ?? {})) {
      const where = `${group}.${name}`;
      checkFieldSpec(field, where, report);
      if (field.kind === 'url' && group !== 'integrationConfig' && !(field.automated && field.hosts !== undefined))
        report(where, 'only the developer may set a whole URL; a learned one needs `automated` and `hosts`');
      if (field.hosts !== undefined && (field.kind !== 'url' || !field.automated))
        report(where, 'hosts belong to a learned URL');
      if (field.automated && group !== 'connectionConfig')
        report(where, 'only connectionConfig is filled by the provider');
    }
  }
}

function checkFieldSpec(field: FieldSpec, where: string, report: Report): void {
  if ((field.kind === 'enum') !== (field.options !== undefined))
    report(where, 'options belong to kind enum, and only there');
  for (const key of ['default', 'example'] as const) {
    const wrong = field[key] === undefined ? undefined : checkField(field, field[key]);
    if (wrong !== undefined) report(`${where}.${key}`, wrong);
  }
  if (field.secret && field.default !== undefined) report(where, 'a secret has no default');
}

/** The URL templates of an entry, by place. */
export function urlTemplatesOf(spec: ProviderSpec): [where: string, template: string][] {
  const urls: [string, string | undefined][] = [
    ['oauth2.authorize.url', spec.oauth2?.authorize.url],
    ['oauth2.token.url', spec.oauth2?.token.url],
    ['oauth2.refresh.url', spec.oauth2?.refresh?.url],
    ['oauth2.issuer', spec.oauth2?.issuer],
    ['oauth2.afterConnect.url', spec.oauth2?.afterConnect?.url],
    ['api.baseUrl', spec.api.baseUrl],
    ['disconnect.url', 'url' in spec.disconnect ? spec.disconnect.url : undefined],
    ...modeUrlsOf(spec),
  ];
  return urls.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

function checkUrls(spec: ProviderSpec, report: Report): void {
  const fields = fieldsOf(spec);
  for (const [where, template] of urlTemplatesOf(spec)) {
    const problem = urlTemplateProblem(template, fields);
    if (problem !== undefined) report(where, problem);
    if (template.startsWith('http:')) report(where, 'must be https');
    const takesClientId = where === 'oauth2.authorize.url' || where === 'disconnect.url';
    if (holesOf(template).includes('clientId') && !takesClientId)
      report(where, 'the client id belongs into the authorize URL only');
    if (where === 'api.baseUrl' && /[?#]/.test(template)) report(where, 'a base address has no query');
    if (holesOf(template).some((hole) => fields[hole]?.kind !== undefined && isSecretField(spec, hole))) {
      report(where, 'a secret may not stand in a URL');
    }
  }
}

function isSecretField(spec: ProviderSpec, hole: string): boolean {
  const [group, name] = hole.split('.') as [
    'connectionConfig' | 'integrationConfig' | 'credentials',
    string | undefined,
  ];
  return name !== undefined && spec[group]?.[name]?.secret === true;
}

/** The text templates of an entry, by place; `api.*` ones may hold the credential. */
function textTemplatesOf(spec: ProviderSpec): [where: string, template: string][] {
  const { oauth2, api } = spec;
  const tables: [string, Record<string, string | null> | undefined][] = [
    ['oauth2.authorize.params', oauth2?.authorize.params],
    ['oauth2.token.params', oauth2?.token.params],
    ['oauth2.token.headers', oauth2?.token.headers],
    ['oauth2.refresh.params', oauth2?.refresh?.params],
    ['api.headers', api.headers],
    ['api.query', api.query],
    ['api.verification.headers', api.verification?.headers],
    ['api.verification', api.verification && { path: api.verification.path }],
    ['api.auth', textsOf(api.auth)],
    ['disconnect.auth', spec.disconnect.kind === 'call' ? textsOf(spec.disconnect.auth) : undefined],
    ['disconnect.body', spec.disconnect.kind === 'call' ? spec.disconnect.body?.params : undefined],
    ...modeTextsOf(spec),
  ];
  const texts: [string, string][] = [];
  for (const [where, table] of tables) {
    for (const [name, template] of Object.entries(table ?? {}))
      if (template !== null) texts.push([`${where}.${name}`, template]);
  }
  return texts;
}

function textsOf(auth: ApiAuth | undefined): Record<string, string> | undefined {
  if (auth?.in === 'basic') return { username: auth.username, password: auth.password };
  return auth !== undefined && 'value' in auth ? { value: auth.value } : undefined;
}

function checkTexts(spec: ProviderSpec, report: Report): void {
  const fields = fieldsOf(spec);
  for (const [where, template] of textTemplatesOf(spec)) {
    if (hasBrokenHole(template)) report(where, 'a hole is misspelled');
    for (const hole of holesOf(template)) {
      if (!Object.hasOwn(fields, hole)) report(where, `\${${hole}} is not declared`);
      if (/^step\d/.test(hole)) {
        if (!isLaterStep(where, hole)) report(where, `\${${hole}} is not known yet`);
      } else if (isCustomerHole(hole)) {
        if (where.startsWith('oauth2.') || where === 'api.verification.path')
          report(where, 'a secret may not stand in a URL');
      } else if (!isSecretHole(hole)) {
        if (where.startsWith('oauth2.authorize') && isSecretField(spec, hole))
          report(where, 'a secret may not stand in a URL');
      } else if (!where.startsWith('api.') && !where.startsWith('disconnect.')) {
        report(where, `\${${hole}} exists only in API calls`);
      } else if (where === 'api.verification.path') {
        report(where, 'a secret may not stand in a URL');
      } else if (DISCONNECT_HOLES.includes(hole)) {
        const exists = where.startsWith('disconnect.') && spec.authMode === 'OAUTH2';
        if (!exists) report(where, `\${${hole}} exists only in the disconnect call of an OAUTH2 provider`);
      } else if (!SECRETS[spec.authMode].includes(hole)) {
        report(where, `authMode ${spec.authMode} has no \${${hole}}`);
      }
    }
  }
}

const STANDARD_AUTHORIZE = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
];
const STANDARD_TOKEN = [
  'grant_type',
  'code',
  'redirect_uri',
  'client_id',
  'client_secret',
  'code_verifier',
  'refresh_token',
  'scope',
];

function checkOAuth2(oauth2: OAuth2Spec, spec: ProviderSpec, report: Report): void {
  const { authorize, callback, scopes, token, response } = oauth2;
  if ((oauth2.pkce === 'off') !== (oauth2.pkceOffReason !== undefined))
    report('oauth2.pkceOffReason', 'is given exactly when PKCE is off');
  if ((authorize.paramsIn === 'fragment') !== authorize.url.includes('#')) {
    report('oauth2.authorize.paramsIn', 'is `fragment` exactly when the URL has a fragment');
  }
  for (const key of Object.keys(authorize.rename ?? {})) {
    if (!STANDARD_AUTHORIZE.includes(key)) report('oauth2.authorize.rename', `"${key}" is no standard parameter`);
  }
  for (const key of Object.keys(token.rename ?? {})) {
    if (!STANDARD_TOKEN.includes(key)) report('oauth2.token.rename', `"${key}" is no standard parameter`);
  }
  const stateSent = authorize.rename?.['state'] ?? 'state';
  if (callback.stateEcho === 'always' && authorize.params?.['state'] === null)
    report('oauth2.callback.stateEcho', 'no state is sent');
  if (authorize.rename?.['state'] !== undefined && callback.state !== stateSent) {
    report('oauth2.callback.state', 'must be the name under which the state is sent');
  }
  if (token.method === 'GET' && token.body !== undefined && token.body !== 'query')
    report('oauth2.token.body', 'a GET has no body');
  const allowed = scopes?.allowed;
  for (const scope of scopes?.default ?? []) {
    if (allowed !== undefined && !allowed.includes(scope)) report('oauth2.scopes.default', `"${scope}" is not allowed`);
  }
  if (scopes?.choose === 'one' && (scopes.default?.length ?? 0) > 1)
    report('oauth2.scopes.default', 'only one can be chosen');
  const spent = spec.api.spentAfterWriteWithScope;
  if (spent !== undefined && !(allowed ?? []).includes(spent))
    report('api.spentAfterWriteWithScope', `"${spent}" is no allowed scope`);
  if (response?.expiry?.kind === 'in' && response.expiry.unit === undefined)
    report('oauth2.response.expiry.unit', 'is needed for kind `in`');
  const { afterConnect } = oauth2;
  if (afterConnect !== undefined && afterConnect.list === undefined) {
    if (afterConnect.where !== undefined || afterConnect.newestBy !== undefined)
      report('oauth2.afterConnect.list', 'is what `where` and `newestBy` choose from');
  }
  const learned = [response?.metadata ?? {}, afterConnect?.metadata ?? {}].flatMap((table) => Object.keys(table));
  for (const key of [...learned, ...(callback.metadata ?? [])]) {
    if (!spec.connectionConfig?.[key]?.automated)
      report('oauth2 metadata', `connectionConfig.${key} is missing or not automated`);
  }
  checkChoices(oauth2, spec, report);
}

function checkChoices(oauth2: OAuth2Spec, spec: ProviderSpec, report: Report): void {
  for (const [name, options] of Object.entries(oauth2.choices ?? {})) {
    const field = spec.integrationConfig?.[name];
    const where = `oauth2.choices.${name}`;
    if (field?.kind !== 'enum') report(where, 'must name an integrationConfig field of kind enum');
    else if (!isDeepStrictEqual(Object.keys(options).toSorted(), field.options?.toSorted()))
      report(where, 'must have exactly the options of the field');
    for (const [option, choice] of Object.entries(options)) {
      if ((choice.pkce === 'off') !== (choice.pkceOffReason !== undefined))
        report(`${where}.${option}`, 'PKCE off needs its reason');
    }
  }
}

function checkVerification(spec: ProviderSpec, report: Report): void {
  const fields = fieldsOf(spec);
  for (const hole of holesOf(spec.api.verification?.path ?? '')) {
    const kind = fields[hole]?.kind;
    if (kind !== undefined && kind !== 'segment' && kind !== 'label' && kind !== 'enum')
      report('api.verification.path', `\${${hole}} is of kind ${kind}, which a path never takes`);
  }
}

function checkAccount(spec: ProviderSpec, report: Report): void {
  if ('ends' in spec.disconnect && spec.disconnect.ends === 'account' && spec.account === undefined)
    report('disconnect.ends', '`account` needs to know the account: say `account.idFrom`');
  if (spec.account !== undefined && spec.connectionConfig?.[spec.account.idFrom]?.automated !== true) {
    report('account.idFrom', 'must name an automated connectionConfig field');
  }
}
