/** The rules of `modes.ts`, in sentences. Called by `check.ts`. */
import { isDeepStrictEqual } from 'node:util';
import type { AuthMode, Fields, LoginRequestSpec, LoginSpec, ProviderSpec, SigV4Spec } from './index.ts';

type Report = (where: string, problem: string) => void;

/** The part of a provider file that belongs to each mode, and only to it. */
const PARTS: Partial<Record<AuthMode, keyof ProviderSpec>> = {
  OAUTH2: 'oauth2',
  OAUTH2_CC: 'clientCredentials',
  JWT: 'jwt',
  TWO_STEP: 'login',
  OAUTH1: 'oauth1',
  AWS_SIGV4: 'sigv4',
  APP: 'app',
};

/**
 * The credential fields of a mode: all of `always`, any of `maybe`; the form, the API and the templates use these names.
 * `own`: the provider names them.
 */
const FORMS: Record<AuthMode, { always: readonly string[]; maybe?: readonly string[] } | 'own'> = {
  OAUTH2: { always: [] },
  API_KEY: { always: ['apiKey'] },
  BASIC: { always: ['username', 'password'] },
  NONE: { always: [] },
  OAUTH2_CC: { always: ['client_id'], maybe: ['client_secret', 'client_certificate', 'client_private_key'] },
  JWT: 'own',
  TWO_STEP: 'own',
  OAUTH1: { always: [] },
  AWS_SIGV4: { always: ['role_arn', 'region'], maybe: ['external_id'] },
  APP: { always: [] },
};

/** Reports parts of other modes, and a form that is not the mode's. */
export function checkParts(spec: ProviderSpec, report: Report): void {
  for (const [mode, part] of Object.entries(PARTS)) {
    if ((spec[part] !== undefined) !== (spec.authMode === mode)) {
      report(part, `belongs to authMode ${mode}, and only there`);
    }
  }
  const form = FORMS[spec.authMode];
  const given = Object.keys(spec.credentials ?? {});
  if (form === 'own') {
    checkOwnForm(spec, given, report);
    return;
  }
  const { always, maybe = [] } = form;
  const missing = always.some((name) => !given.includes(name));
  const foreign = given.some((name) => !always.includes(name) && !maybe.includes(name));
  if (missing || foreign) {
    const any = maybe.length === 0 ? '' : `, and of these any: ${maybe.join(', ')}`;
    report('credentials', `authMode ${spec.authMode} has exactly: ${always.join(', ') || 'none'}${any}`);
  }
}

/** Reports what the parts of the machine modes say wrongly. */
export function checkModes(spec: ProviderSpec, report: Report): void {
  checkClientCredentials(spec, report);
  checkJwt(spec, report);
  checkLogin(spec, report);
  checkSigning(spec, report);
  checkApp(spec, report);
}

function checkApp({ app, connectionConfig = {} }: ProviderSpec, report: Report): void {
  if (app === undefined) return;
  for (const key of ['installation_id', ...Object.keys(app.metadata ?? {})]) {
    if (!connectionConfig[key]?.automated) report('app', `connectionConfig.${key} is missing or not automated`);
  }
}

/** Modes that sign each call. */
const SIGNING: readonly AuthMode[] = ['OAUTH1', 'AWS_SIGV4'];

function checkSigning(
  { api, authMode, oauth1, sigv4, credentials = {}, connectionConfig = {} }: ProviderSpec,
  report: Report,
): void {
  if ((api.auth.in === 'signature') !== SIGNING.includes(authMode)) {
    report('api.auth', `is a signature exactly in the modes ${SIGNING.join(', ')}`);
  }
  if (sigv4?.externalId !== undefined && credentials['external_id'] === undefined) {
    report('sigv4.externalId', 'needs the credential field external_id');
  }
  for (const key of Object.keys(oauth1?.metadata ?? {})) {
    if (!connectionConfig[key]?.automated)
      report('oauth1.metadata', `connectionConfig.${key} is missing or not automated`);
  }
}

/** Names that the stored credential has itself. */
const TAKEN = ['type', 'token', 'expires_at', 'raw', 'refresh_token'];

function checkOwnForm(spec: ProviderSpec, given: string[], report: Report): void {
  if (!Object.values(spec.credentials ?? {}).some((field) => field.secret)) {
    report('credentials', `authMode ${spec.authMode} has a form with at least one secret`);
  }
  for (const name of given) if (TAKEN.includes(name)) report(`credentials.${name}`, 'is a name of ours');
}

function checkLogin({ login }: ProviderSpec, report: Report): void {
  for (const [where, request] of loginRequestsOf(login)) {
    if (request.method !== 'GET') continue;
    if (request.params !== undefined) report(`${where}.params`, 'a GET would carry them in its URL');
    if (request.body !== undefined) report(`${where}.body`, 'a GET has no body');
  }
}

function loginRequestsOf(login: LoginSpec | undefined): [where: string, request: LoginRequestSpec][] {
  if (login === undefined) return [];
  const steps = (login.steps ?? []).map((step, index): [string, LoginRequestSpec] => [`login.step${index + 1}`, step]);
  return [...steps, ['login.token', login.token]];
}

/** True when the place comes after the step whose answer the hole holds. */
export function isLaterStep(where: string, hole: string): boolean {
  if (where.startsWith('login.token')) return true;
  const [, place] = /^login\.step(\d)/.exec(where) ?? [];
  const [, step] = /^step(\d)/.exec(hole) ?? [];
  return place !== undefined && Number(place) > Number(step);
}

function checkJwt({ jwt, credentials = {} }: ProviderSpec, report: Report): void {
  if (jwt === undefined) return;
  if (jwt.keyEncoding !== undefined && jwt.algorithm !== 'HS256') report('jwt.keyEncoding', 'belongs to HS256');
  if (jwt.split !== undefined && credentials[jwt.split.field] === undefined) {
    report('jwt.split.field', 'must name a credential field');
  }
  for (const name of ['iat', 'exp']) if (jwt.claims[name] !== undefined) report(`jwt.claims.${name}`, 'is set by us');
  if (jwt.header?.['alg'] !== undefined) report('jwt.header.alg', 'is set by us');
}

function checkClientCredentials(spec: ProviderSpec, report: Report): void {
  const part = spec.clientCredentials;
  if (part === undefined) return;
  const { credentials = {}, integrationConfig = {} } = spec;
  const where = 'clientCredentials';
  const ways = new Set([part.clientAuth ?? 'body']);
  for (const [name, options] of Object.entries(part.choices ?? {})) {
    checkOptions(`${where}.choices.${name}`, integrationConfig[name], options, report);
    for (const choice of Object.values(options)) if (choice.clientAuth !== undefined) ways.add(choice.clientAuth);
  }
  const demand = (field: string, way: string) => {
    if (credentials[field] === undefined) report(`${where}.clientAuth`, `${way} needs the credential field ${field}`);
  };
  for (const way of ways) {
    if (way === 'body' || way === 'basic') demand('client_secret', way);
    if (way === 'private_key_jwt' || way === 'tls') demand('client_private_key', way);
    if (way === 'tls') demand('client_certificate', way);
    if (way === 'tls' && part.certificate === undefined) report(`${where}.certificate`, 'tls sends a certificate');
  }
  if (part.certificate !== undefined) {
    demand('client_certificate', 'certificate');
    demand('client_private_key', 'certificate');
  }
  if (part.assertion !== undefined && !ways.has('private_key_jwt')) {
    report(`${where}.assertion`, 'belongs to clientAuth private_key_jwt');
  }
  if (part.assertion?.thumbprint) demand('client_certificate', 'thumbprint');
}

/** `choices` name an enum field of the integration and have exactly its options. */
function checkOptions(where: string, field: Fields[string] | undefined, options: object, report: Report): void {
  if (field?.kind !== 'enum') report(where, 'must name an integrationConfig field of kind enum');
  else if (!isDeepStrictEqual(Object.keys(options).toSorted(), field.options?.toSorted()))
    report(where, 'must have exactly the options of the field');
}

/** True for a hole that a value of the customer's form goes into. */
export function isCustomerHole(hole: string): boolean {
  return hole.startsWith('credentials.');
}

/** URL templates of the machine modes, by place. */
export function modeUrlsOf(spec: ProviderSpec): [where: string, template: string | undefined][] {
  const logins = loginRequestsOf(spec.login).map(([where, { url }]): [string, string] => [`${where}.url`, url]);
  return [
    ['clientCredentials.token.url', spec.clientCredentials?.token.url],
    ...logins,
    ['oauth1.requestToken.url', spec.oauth1?.requestToken.url],
    ['oauth1.authorize.url', spec.oauth1?.authorize.url],
    ['oauth1.accessToken.url', spec.oauth1?.accessToken.url],
    ['sigv4.stsUrl', spec.sigv4?.stsUrl],
    ['app.installUrl', spec.app?.installUrl],
    ['app.installationUrl', spec.app?.installationUrl],
    ['app.tokenUrl', spec.app?.tokenUrl],
  ];
}

function sigv4Texts({ service, region, externalId }: SigV4Spec): Record<string, string> {
  return { service, region, ...(externalId !== undefined && { externalId }) };
}

/** Tables of text templates of the machine modes, by place. They may hold `credentials.x`. */
export function modeTextsOf(spec: ProviderSpec): [where: string, table: Record<string, string> | undefined][] {
  const { clientCredentials, jwt, oauth1, sigv4, app } = spec;
  const assertion = clientCredentials?.assertion;
  const claims = {
    ...(assertion?.audience !== undefined && { audience: assertion.audience }),
    ...(assertion?.keyId !== undefined && { keyId: assertion.keyId }),
  };
  return [
    ['clientCredentials.token.params', clientCredentials?.token.params],
    ['clientCredentials.token.headers', clientCredentials?.token.headers],
    ['clientCredentials.assertion', claims],
    ['jwt', jwt && { key: jwt.key }],
    ['jwt.header', jwt?.header],
    ['jwt.claims', jwt?.claims],
    ['oauth1.requestToken.params', oauth1?.requestToken.params],
    ['oauth1.authorize.params', oauth1?.authorize.params],
    ['oauth1.accessToken.params', oauth1?.accessToken.params],
    ['app.headers', app?.headers],
    ['sigv4', sigv4 && sigv4Texts(sigv4)],
    ...loginRequestsOf(spec.login).flatMap(([where, request]): [string, Record<string, string> | undefined][] => [
      [`${where}.params`, request.params],
      [`${where}.headers`, request.headers],
      [`${where}.basic`, request.basic],
    ]),
  ];
}
