/** An application that hears webhooks of the emulators, for the tests of what they send. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import {
  type Account,
  type App,
  createManualClock,
  type EmulatorHandle,
  type Emulators,
  startEmulators,
} from './index.ts';

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Connected {
  handle: EmulatorHandle;
  app: App;
  account: Account;
  token: string;
}

export const hmac = (body: string, key: string) => createHmac('sha256', key).update(body).digest('hex');

export async function eventually(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { interval: 5, timeout: 5_000 }).toBe(true);
}

/** Emulators with a clock that stands, and a receiver; nothing has happened before each test of the file. */
export function useReceiver() {
  const clock = createManualClock();
  const received: Received[] = [];
  /** Statuses of the next answers; 200 when empty. */
  const answers: number[] = [];
  const made = {} as { emulators: Emulators; url: string };
  let receiver: Server;

  beforeAll(async () => {
    receiver = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
        response.writeHead(answers.shift() ?? 200).end('whatever it says');
      });
    });
    await new Promise<void>((resolve) => void receiver.listen(0, '127.0.0.1', resolve));
    made.url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/webhook`;
    made.emulators = await startEmulators({ clock });
  });

  afterAll(async () => {
    await made.emulators.close();
    await new Promise((resolve) => receiver.close(resolve));
  });

  beforeEach(() => {
    for (const name of ['checkr', 'xref', 'checkbook'] as const) made.emulators.get(name).reset();
    received.length = 0;
    answers.length = 0;
  });

  async function connect(name: 'checkr' | 'xref' | 'checkbook', user?: string): Promise<Connected> {
    const handle = made.emulators.get(name);
    const redirectUri = 'http://127.0.0.1:1/back';
    const app = handle.ensureApp('App', { redirectUri, webhookUrl: made.url });
    const who = handle.users().find(({ email }) => user === undefined || email === user);
    const query = `client_id=${app.clientId}&response_type=code&scope=check&redirect_uri=${encodeURIComponent(redirectUri)}`;
    const authorize = {
      checkr: `/authorize/${app.clientId}`,
      xref: `/oauth/open-api/${app.clientId}`,
      checkbook: `/oauth/authorize?${query}`,
    }[name];
    const back = new URL(handle.consent(handle.url + authorize, { ...(who && { user: who.id }) }));
    const fields = {
      client_id: app.clientId,
      client_secret: app.liveSecret,
      code: back.searchParams.get('code') ?? '',
    };
    const isForm = name === 'checkbook';
    const body = isForm
      ? new URLSearchParams({ ...fields, grant_type: 'authorization_code', scope: 'check', redirect_uri: redirectUri })
      : JSON.stringify(fields);
    const answer = await fetch(`${handle.url}${isForm ? '/web/v1/auth/oauth/token' : '/oauth/tokens'}`, {
      method: 'POST',
      headers: isForm ? {} : { 'Content-Type': 'application/json' },
      body,
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const account = handle.accounts().find(({ id }) => id === who?.accountId) as Account;
    return { handle, app, account, token };
  }

  const bodies = () => received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  /** Fields of the resource in the last webhook. */
  const lastFields = () => Object.keys((bodies().at(-1) as { data: { object: object } }).data.object);

  return Object.assign(made, { clock, received, answers, connect, bodies, lastFields });
}
