/** Webhooks as the emulators send them, good and bad, all the way to what the app is told. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EmulatorHandle } from '../../emulators/index.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { connectAccount } from '../support/connect.ts';

let app: TestApp;
let checkr: EmulatorHandle;
let connectionId: string;
let accountId: string;

beforeAll(async () => {
  app = await startTestApp({ webhooks: true });
  checkr = app.emulators.get('checkr');
});
afterAll(() => app?.close());

beforeEach(async () => {
  checkr.reset();
  // A minute of the provider is a tenth of a second.
  checkr.setKnob('webhookTimeScale', 600);
  ({ connectionId } = await connectAccount(app, 'checkr-partner'));
  accountId = checkr.grants()[0]?.accountId as string;
  await soon(() => checkr.webhooks().map(({ type, state }) => `${type} ${state}`)).toEqual([
    'account.credentialed delivered',
  ]);
});

/** Polls as long as a busy machine needs. */
const soon = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 15_000, interval: 20 });

/** What proved the events of a type, newest first, and how many of all kinds the app was told of the connection. */
async function told(type: string): Promise<string[]> {
  const { events } = (await app.api('GET', `/inbound-events?type=${type}&limit=100`)).body;
  if (events.some(({ state }: { state: string }) => state !== 'routed')) return ['not yet'];
  const rows = await app.db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM event e JOIN connection c ON c.environment_id = e.environment_id
       AND c.id = e.connection_id WHERE e.type = 'forward' AND c.connection_id = $1`,
    [connectionId],
  );
  return [...events.map(({ trust }: { trust: string }) => trust), `${rows[0]?.count} forwards`];
}

describe('webhooks of the emulated Checkr', () => {
  it('badly signed are refused until the provider signs them well; then each is told once', async () => {
    const forms = ['wrong', 'missing', 'sentence', 'upper-case'];
    for (const [index, form] of forms.entries()) {
      checkr.setKnob('webhookSignature', form);
      checkr.tell(accountId, { type: 'report.created' });
      await soon(() => checkr.webhooks()[index + 1]?.attempts[0]?.status).toBe(401);
    }
    checkr.setKnob('webhookSignature', 'good');
    await soon(() => checkr.webhooks().every(({ state }) => state === 'delivered')).toBe(true);
    for (const { attempts } of checkr.webhooks().slice(1)) expect(attempts.at(-1)?.status).toBe(200);
    await soon(() => told('report.created')).toEqual([...forms.map(() => 'signature'), '5 forwards']);
  });

  it('in a burst, three times each and out of order, are told once each', async () => {
    checkr.setKnob('webhookDuplicates', 2);
    checkr.setKnob('webhookReorder', true);
    checkr.tell(accountId, { type: 'report.updated' }, 20);
    await soon(() => checkr.webhooks().filter(({ state }) => state === 'delivered').length).toBe(61);
    await soon(() => told('report.updated')).toEqual([...Array<string>(20).fill('signature'), '21 forwards']);
  });

  it.each(['2018', 'gist'])('of a disconnect in the shape of %s end the connection', async (shape) => {
    checkr.setKnob('deauthorizedShape', shape);
    await checkr.revokeGrant(checkr.grants()[0]?.id as string);
    const state = () => app.db.query('SELECT state FROM connection WHERE connection_id = $1', [connectionId]);
    await soon(state).toEqual([{ state: 'revoked_by_provider' }]);
    const { events } = (await app.api('GET', '/inbound-events?type=token.deauthorized&limit=1')).body;
    const { text } = await app.api('GET', `/inbound-events/${events[0].id}`);
    expect(text).toContain('[redacted]');
  });

  it('that the account registered for itself come to the URL of its connection, with its own key and without one', async () => {
    const query = 'provider_config_key=checkr-partner';
    const { body } = await app.api('GET', `/connections/${connectionId}/webhook-url?${query}`);
    const registered = await app.api('POST', '/proxy/v1/webhooks', { webhook_url: body.webhook_url, include_object: true }, { 'provider-config-key': 'checkr-partner', 'connection-id': connectionId }); // prettier-ignore
    expect(registered.status).toBe(201);
    checkr.tell(accountId, { type: 'report.engaged' });
    await soon(() => told('report.engaged').then((all) => all.toSorted())).toEqual(['3 forwards', 'signature', 'url']);
    checkr.setKnob('accountHasApiKey', false);
    checkr.tell(accountId, { type: 'report.engaged' });
    await soon(() => told('report.engaged').then((all) => all.filter((one) => one === 'url').length)).toBe(2);
  });
});
