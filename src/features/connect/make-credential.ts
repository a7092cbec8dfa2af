import type { Issue } from '../../base/errors.ts';
import { holesFor } from '../../protocols/input.ts';
import { isMachineMode } from '../../protocols/machine-token/index.ts';
import { externalIdRule } from '../../protocols/sigv4/index.ts';
import { obtainToken, type Credential, type GrantFacts } from '../credentials/index.ts';
import type { Integration } from '../integrations/index.ts';
import type { Attempt } from './access.ts';
import type { TypedCredential } from './credential-form.ts';
import type { ConnectDeps } from './deps.ts';
import { errors } from './errors.ts';
import { configIssues, learnedValues } from './plan.ts';

export interface MadeCredential {
  credential: Credential;
  facts: GrantFacts;
  /** Values that the provider's answer brought for the connection config. */
  learned: Record<string, string>;
}

/**
 * The credential to store: as typed, or, for machine modes, with its first token from the provider.
 * Errors: `invalid_body`, `invalid_auth_mode`, `url_param_err`, those of `obtainToken`.
 */
export async function makeCredential(
  deps: ConnectDeps,
  { integration, defaults: fixed }: Attempt,
  connectionConfig: Record<string, unknown>,
  { credential, mode }: TypedCredential,
): Promise<MadeCredential> {
  if ('type' in credential) {
    return { credential, facts: { scope: undefined, expiresAt: undefined }, learned: {} };
  }
  const { provider } = integration;
  if (!isMachineMode(mode)) throw errors.fail('invalid_auth_mode');
  const defaults = Object.entries(provider.credentials ?? {}).flatMap(([name, field]) =>
    field.default === undefined ? [] : [[name, field.default] as const],
  );
  const typed = Object.entries(credential.fields).filter(([, value]) => value !== '');
  const fields: Record<string, string> = Object.fromEntries([...defaults, ...typed]);
  const externalId = fixed?.connection_config?.['external_id'];
  // Chosen by the app, it ties the role to one customer: whoever knows a role of somebody else cannot borrow it.
  if (provider.sigv4 !== undefined && typeof externalId === 'string') fields['external_id'] = externalId;
  const issues = [
    ...configIssues(provider.credentials, fields, ''),
    ...externalIdIssues(integration, connectionConfig, fields, typeof externalId === 'string'),
  ];
  for (const name of Object.keys(fields)) {
    if (provider.credentials?.[name] !== undefined) continue;
    const message = `${provider.displayName} takes no such value.`;
    issues.push({ code: 'unrecognized_keys', message, path: ['', name] });
  }
  if (issues.length > 0) {
    const found = issues.map((issue) => ({ ...issue, path: issue.path.slice(1) }));
    throw errors.fail('invalid_body', { message: issues[0]?.message ?? '', errors: found });
  }
  const {
    facts,
    metadata,
    credential: made,
  } = await obtainToken(deps, { integration, connectionConfig, mode, fields });
  return { credential: made, facts, learned: learnedValues(provider, metadata) };
}

/** The external id that the integration demands for an AWS role, and does not have. */
function externalIdIssues(
  { provider, integrationConfig }: Integration,
  connectionConfig: Record<string, unknown>,
  fields: Record<string, string>,
  isFixed: boolean,
): Issue[] {
  if (provider.sigv4 === undefined) return [];
  const rule = externalIdRule(provider.sigv4, holesFor({ provider, integrationConfig, connectionConfig }));
  if (rule === 'optional' || isFixed) return [];
  if (rule === 'required' && (fields['external_id'] ?? '') !== '') return [];
  const message =
    rule === 'fixed'
      ? 'This integration wants the connect session to fix the external id.'
      : 'The external id is required.';
  return [{ code: 'custom', message, path: ['', 'external_id'] }];
}
