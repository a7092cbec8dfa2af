/** What the suites over all entries share: values of an entry, and its calls through the whole server. */
import type { ProviderSpec } from '../../catalogue/_spec/index.ts';
import type { ApiAnswer, TestApp } from '../support/app.ts';
import { fill, pathOf, type HoleValues } from './expectations.ts';
import { valuesFor } from './sample.ts';

type Caller = Pick<TestApp, 'api'>;

/** What the developer has set. */
export const settingsOf = (spec: ProviderSpec) => valuesFor(spec.integrationConfig);

/** What the customer types, and what the developer has set. */
export function typedValues(spec: ProviderSpec): Record<string, string> {
  const asked = Object.entries(spec.connectionConfig ?? {}).filter(([, field]) => !field.automated);
  return valuesFor(Object.fromEntries(asked));
}

/** Values by hole name, with what a connection has learned. */
export function holeValues(spec: ProviderSpec, learned: Record<string, unknown> = {}): HoleValues {
  const values: HoleValues = {};
  for (const [name, value] of Object.entries(settingsOf(spec))) values[`integrationConfig.${name}`] = value;
  for (const [name, value] of Object.entries({ ...typedValues(spec), ...learned })) {
    values[`connectionConfig.${name}`] = String(value);
  }
  return values;
}

export function params(spec: ProviderSpec): Record<string, string> {
  return Object.fromEntries(Object.entries(typedValues(spec)).map(([name, value]) => [`params[${name}]`, value]));
}

/** The harmless call of the entry, or any path. */
export function sampleCall(spec: ProviderSpec, values: HoleValues): { method: string; path: string; body?: unknown } {
  const { verification } = spec.api;
  if (verification === undefined) return { method: 'GET', path: '/v1/anything' };
  const path = fill(verification.path, values);
  return verification.method === 'GET'
    ? { method: 'GET', path }
    : { method: verification.method, path, body: JSON.parse(verification.body ?? '{}') };
}

/** Calls the entry's harmless call through the proxy. */
export async function callEntry(
  app: Caller,
  spec: ProviderSpec,
  connectionId: string,
  values: HoleValues,
): Promise<ApiAnswer> {
  const { method, path, body } = sampleCall(spec, values);
  return app.api(method, `/proxy${path}`, body, { 'provider-config-key': spec.name, 'connection-id': connectionId });
}

/** Where a proxied call arrives: base path and path, without the query. */
export function apiPath(spec: ProviderSpec, values: HoleValues): string {
  const base = pathOf(spec.api.baseUrl, values).replace(/\/$/, '');
  return `${base}${sampleCall(spec, values).path.replace(/\?.*$/, '')}`;
}

export function readEntry(app: Caller, spec: ProviderSpec, connectionId: string, query = ''): Promise<ApiAnswer> {
  return app.api('GET', `/connections/${connectionId}?provider_config_key=${spec.name}&refresh_token=true${query}`);
}

export async function connectionIdsOf(app: Caller): Promise<string[]> {
  const { body } = await app.api('GET', '/connections');
  return (body.connections as { connection_id: string }[]).map((one) => one.connection_id);
}
