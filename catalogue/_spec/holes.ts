/** The holes of a provider's templates, by full name. */
import type { TemplateField, TemplateFields } from '../../src/base/template.ts';
import type { ProviderSpec } from './index.ts';

/** Holes that every provider has, beside its own fields. */
export const BUILT_IN_HOLES: TemplateFields = {
  clientId: { kind: 'segment', title: 'The client id' },
  appLink: { kind: 'url', title: 'The page of the app' },
};

/** Holes that hold a secret: of kind `text`, hence never legal in a URL. */
export const SECRET_HOLES: TemplateFields = {
  accessToken: { kind: 'text', title: 'The access token' },
  apiKey: { kind: 'text', title: 'The API key' },
  username: { kind: 'text', title: 'The user name', optional: true },
  password: { kind: 'text', title: 'The password', optional: true },
  clientSecret: { kind: 'text', title: 'The client secret' },
  refreshToken: { kind: 'text', title: 'The refresh token', optional: true },
};

/** Of these, the ones that exist only in the call that ends a grant. */
export const DISCONNECT_HOLES: readonly string[] = ['clientSecret', 'refreshToken'];

/** Modes whose form is used by name, `${credentials.x}`; API_KEY and BASIC have holes of their own. */
export function hasCustomerHoles(provider: ProviderSpec): boolean {
  return ['OAUTH2_CC', 'JWT', 'TWO_STEP', 'AWS_SIGV4'].includes(provider.authMode);
}

/** One per provider: the tables never change while the program runs. */
const TABLES = new WeakMap<ProviderSpec, TemplateFields>();

/** The declared holes of a provider: the built-in ones, `connectionConfig.x` and `integrationConfig.x`. */
export function fieldsOf(provider: ProviderSpec): TemplateFields {
  let fields = TABLES.get(provider);
  if (fields === undefined) {
    const table = Object.create(null) as Record<string, TemplateField>;
    Object.assign(table, BUILT_IN_HOLES, SECRET_HOLES);
    const form = hasCustomerHoles(provider) ? (['credentials'] as const) : [];
    for (const group of ['connectionConfig', 'integrationConfig', ...form] as const) {
      for (const [name, field] of Object.entries(provider[group] ?? {})) table[`${group}.${name}`] = field;
    }
    for (const half of provider.jwt?.split?.into ?? []) table[`credentials.${half}`] = { kind: 'text', optional: true };
    provider.login?.steps?.forEach(({ keep }, index) => {
      for (const name of Object.keys(keep)) table[`step${index + 1}.${name}`] = { kind: 'text' };
    });
    fields = table;
    TABLES.set(provider, fields);
  }
  return fields;
}
