import { Nango } from '@nangohq/node';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { anIntegration, buildCore, type Core } from '../../../test/support/build.ts';
import { silentLog } from '../../base/log.ts';
import { systemClock } from '../../platform/clock.ts';
import { noKillPoints } from '../../platform/kill-points.ts';
import type { Connection } from '../connections/index.ts';
import type { Integration } from '../integrations/index.ts';
import { createOutbound, type Outbound } from './index.ts';
import { bodyOf, startSink, type Sink } from './outbound.test-support.ts';

let core: Core;
let sink: Sink;
let other: Sink;
let outbound: Outbound;
let integration: Integration;
let connection: Connection;
let environmentId: number;
/** How far the database's time is moved. */
let shiftMs = 0;
let serial = 0;

const clock = { ...systemClock, now: () => systemClock.now() + shiftMs };

beforeAll(async () => {
  sink = await startSink();
  other = await startSink();
  core = await buildCore({ allow: [sink.pair, other.pair] });
  environmentId = core.environment.id;
  integration = await anIntegration(core, { url: sink.url, tokenUrl: sink.url, revokeUrl: sink.url });
  outbound = newOutbound();
});

afterAll(async () => {
  await core.close();
  await sink.close();
  await other.close();
});

beforeEach(async () => {
  shiftMs = 0;
  sink.answer = other.answer = () => ({ status: 200 });
  await core.db.query('DELETE FROM endpoint');
  await core.db.query('DELETE FROM event');
  connection = await newConnection();
  await core.db.query('DELETE FROM event');
  sink.got.length = other.got.length = 0;
});

function newOutbound(nodeId = 'node-a'): Outbound {
  return createOutbound({
    ...core.node,
    clock,
    log: silentLog,
    killPoints: noKillPoints,
    nodeId,
    isQuarantined: () => false,
    shiftMs: () => shiftMs,
  });
}

async function newConnection(more: { webhookUrlOverride?: string } = {}): Promise<Connection> {
  serial += 1;
  const { connection: made } = await core.db.transaction((tx) =>
    core.node.connections.upsert(tx, {
      environmentId,
      integrationId: integration.id,
      connectionId: `customer-${serial}`,
      connectionConfig: {},
      tags: { end_user_id: 'u-1' },
      endUser: {
        id: 'u-1',
        email: 'u@example.com',
        displayName: undefined,
        tags: { plan: 'a' },
        organization: undefined,
      },
      ...more,
    }),
  );
  return made;
}

const tell = (type: string, payload: object, of: Connection | undefined = connection) =>
  core.node.connections.writeEvent(core.db, {
    environmentId,
    type,
    ...(of && { connectionId: of.id }),
    payload,
  });

const addEndpoint = (path = '/hooks', more: { kinds?: string[] } = {}, to = sink) =>
  outbound.endpoints.add(environmentId, { url: `${to.url}${path}`, ...more });

describe('an event', () => {
  it('is posted once, and every library that knows a signature of it takes it', async () => {
    const { secret } = await addEndpoint();
    await tell('auth', { operation: 'creation', success: true });
    await outbound.runDry();
    await outbound.runDry();
    expect(sink.got).toHaveLength(1);
    const { headers, body } = sink.got[0]!;
    expect(JSON.parse(body)).toEqual({
      authMode: 'OAUTH2',
      connectionId: connection.connectionId,
      endUser: { endUserEmail: 'u@example.com', endUserId: 'u-1', tags: { plan: 'a' } },
      environment: 'dev',
      from: 'nango',
      operation: 'creation',
      provider: 'oauth2-generic',
      providerConfigKey: 'generic',
      success: true,
      tags: { end_user_id: 'u-1' },
      type: 'auth',
    });
    expect(Object.keys(JSON.parse(body) as object)).toEqual(Object.keys(JSON.parse(body) as object).toSorted());
    expect(headers['x-hawser-sequence']).toBe('1');
    const named = headers as Record<string, string>;
    expect(new StandardWebhook(secret).verify(body, named)).toEqual(JSON.parse(body));
    expect(() => new SvixWebhook(secret).verify(body, named)).not.toThrow();
    expect(() => new SvixWebhook(secret).verify(`${body} `, named)).toThrow();
    const webhookSigningKey = await core.node.environments.webhookSigningKey(environmentId);
    const nango = new Nango({ secretKey: '11111111-1111-4111-8111-111111111111', webhookSigningKey });
    expect(nango.verifyIncomingWebhookRequest(body, named)).toBe(true);
    expect(nango.verifyWebhookSignature(named['x-nango-signature']!, JSON.parse(body))).toBe(true);
    expect(nango.verifyIncomingWebhookRequest(`${body} `, named)).toBe(false);
    expect(bodyOf(sink.got[0]).from).toBe('nango');
  });
});
