/**
 * @module emulators/checkbook
 *
 * The fake Checkbook, production and sandbox: two worlds with their own keys.
 * Source: providers.md 3 (docs.checkbook.io, read 2026-11).
 */
import type { ApiCredential, EmulatorDefinition } from '../engine/definition.ts';
import { alphanumericId, hexId } from '../engine/ids.ts';
import type { JsonObject } from '../engine/types.ts';
import { checkbookRest } from './rest.ts';
import { checkbookWebhooks } from './webhooks.ts';

/** 180 days. Source: docs.checkbook.io/docs/bearer-token. */
const TOKEN_LIFE_SECONDS = 15_552_000;

export const checkbook = define({ name: 'checkbook', displayName: 'Checkbook', sandbox: false });
export const checkbookSandbox = define({ name: 'checkbook-sandbox', displayName: 'Checkbook sandbox', sandbox: true });

function define(options: { name: string; displayName: string; sandbox: boolean }): EmulatorDefinition {
  const { name, displayName, sandbox } = options;
  return {
    name,
    displayName,
    summary: sandbox
      ? 'Digital checks with play money: keys and accounts of its own.'
      : 'Digital checks: four mandatory parameters, the scope sent twice, tokens of 180 days with refresh.',
    redirectField: 'redirect_uri',
    ids: {
      clientId: () => hexId(32),
      secret: () => alphanumericId(30),
      code: () => alphanumericId(30),
      accessToken: () => alphanumericId(30),
      refreshToken: () => alphanumericId(30),
      accountId: () => hexId(32),
      userId: () => hexId(32),
      apiKey: () => ({ publishableKey: hexId(32), secretKey: alphanumericId(30) }),
    },
    authorize: {
      paths: [{ pattern: '/oauth/authorize', page: 'sign-in' }],
      required: ['client_id', 'response_type', 'scope', 'redirect_uri'],
      redirectRule: 'exact',
      scopes: {
        check: ['Send checks from this account, as often as it likes', 'Request checks', 'Read checks and invoices'],
        check_receive: ['Request checks, as often as it likes', 'Read checks and invoices', 'It cannot send money'],
        'single-use': ['Send or request one check, once', 'Read checks and invoices'],
      },
      success: ['code', 'state'],
    },
    token: {
      // The second is the address of before August 2021.
      paths: ['/web/v1/auth/oauth/token', '/oauth/token'],
      style: 'rfc6749',
      required: ['scope', 'redirect_uri'],
      refresh: true,
      reply: ({ accessToken, refreshToken, expiresInSeconds, grant }): JsonObject => ({
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: expiresInSeconds ?? TOKEN_LIFE_SECONDS,
        refresh_token: refreshToken ?? '',
        scope: grant.scope,
      }),
    },
    api: {
      readCredential,
      unauthorized: 'Unauthorized',
      spent: 'invalid_token',
      notFound: 'Not found',
      keyScope: 'check',
    },
    readiness: {
      label: 'bank verified',
      notReady: 'sending a check is refused until the bank account is verified.',
      announced: false,
    },
    webhooks: checkbookWebhooks,
    knobs: {
      own: [
        {
          name: 'signatureOnFile',
          kind: 'boolean',
          default: false,
          about: 'The user has a signature on file, which amounts above $2000 need.',
        },
        {
          name: 'sandboxCalls',
          kind: 'boolean',
          default: true,
          about: 'The sandbox’s own calls exist, such as `PUT /v3/check/webhook/:check_id`.',
        },

        {
          name: 'errorShape',
          kind: 'enum',
          options: ['new', 'legacy'],
          default: 'new',
          about: 'Body of an API error: {message, errors?} or the older {error}.',
        },
        {
          name: 'singleUseConsumes',
          kind: 'enum',
          options: ['write', 'any'],
          default: 'write',
          about: 'What uses up a single-use grant: a send or request, or any successful call.',
        },
      ],
      defaults: {
        codeTtlSec: 600,
        tokenErrorShape: 'oauth2',
        tokenBodyFormats: ['form'],
        accessTokenTtlSec: TOKEN_LIFE_SECONDS,
        sandboxCalls: sandbox,
      },
    },
    assumptions: [
      { topic: 'connect', text: 'The state comes back; denial is error=access_denied.' },
      { topic: 'connect', text: 'A missing parameter is an error page without redirect.' },
      { topic: 'connect', text: 'The redirect address must equal the registered one.' },
      { topic: 'connect', text: 'More than one scope comes back as error=invalid_scope.' },
      { topic: 'connect', text: 'http redirect addresses are accepted on this machine.' },
      { topic: 'token', text: 'Codes live 10 minutes and work once; a second use does not revoke the tokens.' },
      { topic: 'token', text: 'Token errors are those of RFC 6749, with a description.' },
      { topic: 'token', text: 'A second secret for test tokens exists beside the live one.' },
      {
        topic: 'token',
        text: 'A refresh needs the secret, gives another refresh token, and the old tokens die at once.',
      },
      { topic: 'token', text: 'Refresh tokens have no end; a used-up single-use grant cannot be refreshed.' },
      {
        topic: 'disconnect',
        text: 'There is no revocation call; the developer page has a button for what the customer does.',
      },
      { topic: 'api', text: 'A used-up single-use grant gets 401 invalid_token for writes; reading goes on.' },
      { topic: 'api', text: 'The limit is 60 calls a minute for each token and endpoint.' },
      {
        topic: 'webhooks',
        text: 'The webhook address of a connected application hears of the checks and invoices of the account.',
      },
      {
        topic: 'webhooks',
        text: 'An address that a user set for themselves (`developer.webhook_uri`) hears of them too, signed with the secret key of the account.',
      },
      {
        topic: 'webhooks',
        text: 'The nonce is the time of the try in seconds; a failed webhook is tried again after 30, 60, 120 and 240 seconds.',
      },
    ],
    accounts: [
      {
        name: 'Juniper Events',
        ready: true,
        users: [
          { fullName: 'Dana Whitlock', email: 'dana@juniper.example' },
          { fullName: 'Oscar Brandt', email: 'oscar@juniper.example' },
        ],
      },
      {
        name: 'Little Fern Bakery',
        ready: false,
        users: [{ fullName: 'Lucia Moreno', email: 'lucia@littlefern.example' }],
      },
    ],
    rest: checkbookRest,
  };
}

/** `bearer TOKEN` in any case, or the account's raw `PUBLISHABLE:SECRET` without a scheme word. */
function readCredential(authorization: string): ApiCredential | undefined {
  const text = authorization.trim();
  const token = /^bearer +(\S+)$/i.exec(text)?.[1];
  if (token !== undefined) return { kind: 'token', value: token };
  const [, publishableKey, secretKey] = /^([^\s:]+):([^\s:]+)$/.exec(text) ?? [];
  if (publishableKey === undefined || secretKey === undefined) return undefined;
  return { kind: 'key-pair', publishableKey, secretKey };
}
