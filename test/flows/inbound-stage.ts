/** Hawser with one integration of its own whose provider signs webhooks: the stage of the tests of what comes in. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, vi, type Mock } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { eventually } from '../support/build.ts';

export interface InboundStage {
  app: TestApp;
  environmentUuid: string;
  /** Notes every event that is written for the app. */
  told: Mock<TestApp['services']['connections']['writeEvent']>;
}

const SECRET = 'the client secret';

export async function need(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

export const signatureOf = (body: string, secret = SECRET): string =>
  createHmac('sha256', secret).update(body).digest('hex');

/** A stage of the test file's own, with the integration `checks`; `keep` gets it, and may prepare more. */
export function useInboundStage(keep: (stage: InboundStage) => void | Promise<void>) {
  let app: TestApp;
  let environmentUuid: string;
  let told: InboundStage['told'];
  beforeAll(async () => {
    app = await startTestApp();
    told = vi.spyOn(app.services.connections, 'writeEvent');
    environmentUuid = (await app.services.environments.byName('dev'))?.uuid as string;
    await need(
      app.api('POST', '/integrations', {
        provider: 'checkr-partner',
        unique_key: 'checks',
        credentials: { type: 'OAUTH2', client_id: 'id', client_secret: SECRET },
      }),
    );
    await keep({ app, environmentUuid, told });
  });
  afterAll(() => app?.close());

  let made = 0;
  const newId = () => String((made += 1)).padStart(24, '0');

  return {
    async addConnection(id: string, accountId: string, integration = 'checks'): Promise<void> {
      await need(
        app.api('POST', '/connections', {
          provider_config_key: integration,
          connection_id: id,
          credentials: { type: 'OAUTH2', access_token: `token of ${id}` },
          connection_config: { checkr_account_id: accountId },
        }),
      );
    },

    /** Sends as a provider does. */
    async send(body: string, options: { key?: string; headers?: Record<string, string>; url?: string } = {}) {
      const url = options.url ?? `${app.url}/webhook/${environmentUuid}/${options.key ?? 'checks'}`;
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(options.headers ?? { 'x-checkr-signature': signatureOf(body) }),
        },
        body,
      });
      const text = await response.text();
      return { status: response.status, text, headers: response.headers };
    },

    eventOf: (accountId: string, more: Record<string, unknown> = {}) =>
      JSON.stringify({ id: newId(), object: 'event', type: 'report.completed', account_id: accountId, data: { object: { id: 'r1' } }, ...more }), // prettier-ignore

    async stored(body: string) {
      const { id } = JSON.parse(body) as { id: string };
      const [hash] = await app.services.environments.vault.contentHashes(1, [`webhook|id|0|${id}`]);
      const rows = await app.db.query<{
        state: string;
        reason: string | null;
        matched: number;
        trust: string;
        uuid: string;
      }>('SELECT state, reason, matched, trust, uuid FROM inbound_event WHERE dedupe_hash = $1', [
        Buffer.from(hash as string, 'hex'),
      ]);
      return rows;
    },

    /** What the app is told of webhooks, newest last. */
    forwards(): Record<string, unknown>[] {
      return told.mock.calls.map(([, event]) => event).filter(({ type }) => type === 'forward').map(({ payload }) => payload as Record<string, unknown>); // prettier-ignore
    },

    /** Waits until nothing is due. */
    async quiet(): Promise<void> {
      await app.services.inbound.work();
      const due = () => app.db.query("SELECT 1 FROM inbound_event WHERE state = 'received'");
      await eventually(due, (rows) => rows.length === 0);
    },
  };
}
