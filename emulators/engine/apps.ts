/**
 * @module emulators/engine/apps
 *
 * Partner applications: reading the fields of a registration (providers.md 1.3, 2.1), registering, editing, and the
 * form in which they leave the emulator.
 */
import { isLoopbackHost } from './http.ts';
import { hexId } from './ids.ts';
import type { Mount } from './mount.ts';
import type { App, JsonObject } from './types.ts';

/** What a developer says about an application. `redirectUri` is https, or http on this machine. */
export interface AppFields {
  name: string;
  redirectUri: string;
  description?: string;
  url?: string;
  webhookUrl?: string;
  logoUrl?: string;
}

/** Thrown for fields that cannot be registered. The message names the field. */
export class AppError extends Error {}

const TEXT_MAX = 500;

/** Registers an application with fresh id and secrets. Errors: {@link AppError}. */
export function registerApp(mount: Mount, fields: AppFields): App {
  const checked = checkFields(fields);
  const { ids } = mount.definition;
  const app: App = {
    clientId: ids.clientId(),
    liveSecret: ids.secret(),
    testSecret: ids.secret(),
    description: '',
    url: '',
    webhookUrl: '',
    logoUrl: '',
    webhookKey: hexId(32),
    ...checked,
    createdAt: mount.isoNow(),
  };
  mount.state.apps.set(app.clientId, app);
  mount.changed();
  return app;
}

/**
 * Registers an application that has its id and secret already. One that is known keeps its secret; only where it sends
 * people back to changes. Errors: {@link AppError}.
 */
export function adoptApp(mount: Mount, client: { clientId: string; secret: string }, fields: AppFields): App {
  const found = mount.state.apps.get(client.clientId);
  const webhookUrl = fields.webhookUrl ?? found?.webhookUrl;
  if (found?.redirectUri === fields.redirectUri && found.webhookUrl === (webhookUrl ?? '')) return found;
  const app: App = {
    testSecret: mount.definition.ids.secret(),
    description: '',
    url: '',
    webhookUrl: '',
    logoUrl: '',
    webhookKey: hexId(32),
    createdAt: mount.isoNow(),
    clientId: client.clientId,
    liveSecret: client.secret,
    ...found,
    ...checkFields({ ...fields, webhookUrl: webhookUrl ?? '' }),
  };
  mount.state.apps.set(app.clientId, app);
  mount.changed();
  return app;
}

/** Changes some fields; id and secrets stay. Errors: {@link AppError}. */
export function editApp(mount: Mount, app: App, fields: Partial<AppFields>): App {
  const { name, redirectUri, description, url, webhookUrl, logoUrl } = app;
  Object.assign(app, checkFields({ name, redirectUri, description, url, webhookUrl, logoUrl, ...fields }));
  mount.changed();
  return app;
}

/** The application of this name with these fields: edited when it exists, registered when not. */
export function ensureApp(mount: Mount, name: string, fields: Omit<AppFields, 'name'>): App {
  const found = [...mount.state.apps.values()].find((app) => app.name === name);
  return found === undefined ? registerApp(mount, { ...fields, name }) : editApp(mount, found, fields);
}

/** Reads the provider's own field names. Absent fields stay absent. Errors: {@link AppError} for unknown ones. */
export function readAppFields(mount: Mount, input: Record<string, unknown>): Partial<AppFields> {
  const names: Record<string, keyof AppFields> = {
    name: 'name',
    description: 'description',
    url: 'url',
    [mount.definition.redirectField]: 'redirectUri',
    webhook_url: 'webhookUrl',
    logo_url: 'logoUrl',
  };
  const fields: Partial<AppFields> = {};
  for (const [name, value] of Object.entries(input)) {
    const key = Object.hasOwn(names, name) ? names[name] : undefined;
    if (key === undefined) throw new AppError(`Unknown field "${name}". Known: ${Object.keys(names).join(', ')}.`);
    if (typeof value !== 'string') throw new AppError(`"${name}" is a text.`);
    fields[key] = value.trim();
  }
  return fields;
}

/** An application in the provider's own field names, with its secrets. */
export function appToWire(mount: Mount, app: App): JsonObject {
  return {
    client_id: app.clientId,
    client_secret: app.liveSecret,
    test_client_secret: app.testSecret,
    name: app.name,
    description: app.description,
    url: app.url,
    [mount.definition.redirectField]: app.redirectUri,
    webhook_url: app.webhookUrl,
    webhook_key: app.webhookKey ?? null,
    logo_url: app.logoUrl,
    created_at: app.createdAt,
  };
}

function checkFields(fields: Partial<AppFields>): AppFields {
  const { name = '', redirectUri = '', description = '', url = '', webhookUrl = '', logoUrl = '' } = fields;
  const checked = { name, redirectUri, description, url, webhookUrl, logoUrl };
  for (const [field, value] of Object.entries(checked)) {
    if (value.length > TEXT_MAX) throw new AppError(`"${field}" is longer than ${TEXT_MAX} characters.`);
  }
  if (name === '') throw new AppError('An application needs a name.');
  if (redirectUri === '') throw new AppError('An application needs a redirect address.');
  checkUrl(redirectUri, 'The redirect address', true);
  if (webhookUrl !== '') checkUrl(webhookUrl, 'The webhook address', true);
  if (url !== '') checkUrl(url, 'The address of the application', false);
  if (logoUrl !== '') checkUrl(logoUrl, 'The address of the logo', false);
  return checked;
}

/** Assumption: http is fine on this machine, because development happens there. */
function checkUrl(text: string, what: string, secure: boolean): void {
  if (!URL.canParse(text)) throw new AppError(`${what} is not an absolute URL.`);
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new AppError(`${what} is not an http(s) URL.`);
  if (secure && url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new AppError(`${what} must be https (http only on this machine).`);
  }
  if (secure && url.hash !== '') throw new AppError(`${what} must not have a fragment.`);
}
