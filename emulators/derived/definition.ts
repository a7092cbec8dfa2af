/** An emulator made from a provider file. */
import type { OAuth2Choice, OAuth2Spec, ProviderSpec, Rotation } from '../../catalogue/_spec/index.ts';
import type { AuthorizeHabit, EmulatorDefinition } from '../engine/definition.ts';
import { alphanumericId, hexId } from '../engine/ids.ts';
import type { Json } from '../engine/types.ts';
import { apiHabit, restSlice } from './api.ts';
import { installPage } from './app-install.ts';
import { authorizeHabit } from './authorize.ts';
import { customerForm } from './customer.ts';
import { disconnectHabit } from './disconnect.ts';
import { machineHabit, signingAlgorithm } from './machine.ts';
import { FOREIGN_ORIGIN_KNOB, TOKEN_PLACE_KNOB } from './knobs.ts';
import { oauth1Authorize } from './oauth1.ts';
import { tokenHabit } from './token.ts';

/**
 * The definition for a provider file. `settings`: values of its `integrationConfig`. Errors: `Error` for a way or a
 * page that cannot be played.
 */
export function deriveDefinition(spec: ProviderSpec, settings: Readonly<Record<string, string>>): EmulatorDefinition {
  const oauth2 = chosen(spec, settings);
  if (oauth2?.authorize.paramsIn === 'fragment') {
    throw new Error('An authorize page behind a fragment cannot be played: a server does not see it.');
  }
  const machine = machineHabit(spec, settings);
  const deauthorize = disconnectHabit(spec, oauth2, settings);
  return {
    name: spec.emulator ?? spec.name,
    displayName: spec.displayName,
    summary: 'Behaves as the provider file says, and refuses everything else.',
    redirectField: 'redirect_uri',
    ids: {
      clientId: () => hexId(24),
      secret: () => hexId(40),
      code: () => alphanumericId(40),
      accessToken: () => alphanumericId(48),
      refreshToken: () => alphanumericId(48),
      accountId: () => hexId(24),
      userId: () => hexId(24),
      apiKey: () => ({ publishableKey: hexId(24), secretKey: alphanumericId(40) }),
    },
    authorize: pagesOf(spec, oauth2, settings),
    token:
      oauth2 === undefined
        ? { paths: [], style: 'rfc6749', required: [], refresh: false, reply: () => ({}) }
        : tokenHabit(spec, oauth2, settings),
    ...(machine === undefined ? {} : { machine }),
    ...(deauthorize === undefined ? {} : { deauthorize }),
    api: apiHabit(spec, settings),
    readiness: { label: 'ready', notReady: 'nothing is refused.', announced: false },
    knobs: {
      own: [
        {
          name: TOKEN_PLACE_KNOB,
          kind: 'number',
          default: 0,
          about: 'Which of the places that the provider file names holds the access token, from 0.',
        },
        {
          name: FOREIGN_ORIGIN_KNOB,
          kind: 'text',
          default: '',
          about: 'An origin that token answers name instead of the account’s own. Empty: they tell the truth.',
        },
      ],
      defaults: {
        codeTtlSec: 600,
        tokenErrorShape: 'oauth2',
        ...(oauth2?.refresh === undefined ? {} : rotationKnobs(oauth2.refresh.rotation)),
        ...(oauth2?.response?.lifetimeSeconds === undefined
          ? {}
          : { accessTokenTtlSec: oauth2.response.lifetimeSeconds }),
      },
    },
    assumptions: [{ topic: 'api', text: 'Every path answers alike; only the credential is checked.' }],
    accounts: [
      {
        name: 'First Account',
        ready: true,
        users: [{ fullName: 'Ada First', email: 'ada@first.example' }],
      },
      {
        name: 'Second Account',
        ready: true,
        users: [{ fullName: 'Bo Second', email: 'bo@second.example' }],
      },
    ],
    ...(hasOwnForm(spec) && { form: (account) => customerForm(spec, account, signingAlgorithm(spec, settings)) }),
    rest: restSlice(spec, oauth2, settings),
  };
}

/** Modes whose form has other values than one key pair. */
function hasOwnForm({ authMode }: ProviderSpec): boolean {
  return ['OAUTH2_CC', 'JWT', 'TWO_STEP', 'AWS_SIGV4'].includes(authMode);
}

function pagesOf(
  spec: ProviderSpec,
  oauth2: OAuth2Spec | undefined,
  settings: Readonly<Record<string, string>>,
): AuthorizeHabit {
  if (oauth2 !== undefined) return authorizeHabit(spec, oauth2, settings);
  if (spec.oauth1 !== undefined) return oauth1Authorize(spec.oauth1, settings);
  if (spec.app !== undefined) return installPage(spec.app);
  return { paths: [], required: [], redirectRule: 'registered', success: [] };
}

function rotationKnobs(rotation: Rotation): Record<string, Json> {
  switch (rotation.kind) {
    case 'none':
      return { refreshRotation: 'same' };
    case 'overlap':
      return { refreshRotation: 'grace', graceSeconds: rotation.graceSeconds };
    case 'strict':
    case 'unknown':
      return { refreshRotation: 'rotate' };
  }
}

/** The OAuth 2 part with the developer's choices applied. */
function chosen(spec: ProviderSpec, settings: Readonly<Record<string, string>>): OAuth2Spec | undefined {
  let { oauth2 } = spec;
  for (const [name, options] of Object.entries(oauth2?.choices ?? {})) {
    const option = settings[name] ?? spec.integrationConfig?.[name]?.default;
    const choice = option === undefined ? undefined : options[option];
    if (oauth2 !== undefined && choice !== undefined) oauth2 = withChoice(oauth2, choice);
  }
  return oauth2;
}

function withChoice(oauth2: OAuth2Spec, choice: OAuth2Choice): OAuth2Spec {
  const { pkce = oauth2.pkce, clientAuth, scopeSeparator, rotation } = choice;
  return {
    ...oauth2,
    pkce,
    ...(clientAuth === undefined ? {} : { token: { ...oauth2.token, clientAuth } }),
    ...(scopeSeparator === undefined ? {} : { scopes: { ...oauth2.scopes, separator: scopeSeparator } }),
    ...(rotation === undefined ? {} : { refresh: { ...oauth2.refresh, rotation } }),
  };
}
