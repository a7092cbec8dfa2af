/**
 * The life of a Checkr connection, from the first click to the customer's goodbye, told by one app: it gives its customer
 * a link, waits until Checkr has reviewed the account, orders a report, hears by one signed event that the report is done,
 * and hears as well that the customer has left.
 *
 * In one terminal Hawser with its emulators, allowed to call this program's endpoint; in another this program, from the
 * same folder. It prints a link, and goes on when you have opened it and said yes. It can be run again and again.
 *
 *   HAWSER_EGRESS_ALLOW=127.0.0.1:4010 npm start
 *   node_modules/.bin/node examples/checkr-scenario.ts
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { Nango } from '@nangohq/node';
import { Webhook } from 'standardwebhooks';

export interface Options {
  /** Where Hawser runs. */
  host: string;
  /** API key of an environment in which the emulated Checkr and the example functions are. */
  apiKey: string;
  /** Address of the emulated Checkr. */
  checkr: string;
  /** Port of 127.0.0.1 on which this app hears events. */
  port: number;
  /** Gives the link to the customer, who signs in at the emulator under this name. */
  show(link: string, customer: Customer): void | Promise<void>;
  /** Tells the reader where we are. */
  tell(line: string): void;
}

export interface Customer {
  name: string;
  company: string;
  email: string;
}

/** An event as it came to the endpoint, its signature proven. */
export interface Heard {
  id: string;
  type: string;
  [field: string]: unknown;
}

const INTEGRATION = 'checkr-partner';
/** A state of a report, as the synced records know it. */
type Report = { id: string; status: string; result: string | null };

export async function checkrScenario(options: Options): Promise<{ connectionId: string; heard: Heard[] }> {
  const { host, apiKey, tell } = options;
  const nango = new Nango({ host, apiKey });
  const api = (method: string, path: string, body?: unknown) => callJson(`${host}${path}`, method, body, apiKey);
  const checkr = (method: string, path: string, body?: unknown) => callJson(`${options.checkr}${path}`, method, body);

  // Our endpoint: its secret proves each event. We want three kinds of them. One that an aborted run left goes.
  const inbox = await listen(options.port);
  const url = `http://127.0.0.1:${options.port}/events`;
  const { endpoints } = await api('GET', '/endpoints');
  for (const left of endpoints.filter((one: { url: string }) => one.url === url)) {
    await api('DELETE', `/endpoints/${left.id}`);
  }
  let endpoint: { id: string; secret: string } | undefined;
  try {
    endpoint = (await api('POST', '/endpoints', { url, kinds: ['account.ready', 'sync', 'connection.deauthorized'] }))
      .data as { id: string; secret: string };
    inbox.trust(endpoint.secret);

    tell('1. The customer connects. The account is new: Checkr has yet to review it.');
    const customer = await signUp(checkr);
    const endUser = { id: customer.email, email: customer.email };
    const session = await nango.createConnectSession({ end_user: endUser, allowed_integrations: [INTEGRATION] });
    await options.show(session.data.connect_link, customer);
    const { connection_id: connectionId } = await nango.waitForConnection(INTEGRATION, endUser.id);
    const me = async () => {
      const { accounts } = await api('GET', `/accounts?provider_config_key=${INTEGRATION}`);
      for (const { id } of accounts) {
        const { members } = await api('GET', `/accounts/${id}/members?provider_config_key=${INTEGRATION}`);
        const found = members.find((member: { connection_id: string }) => member.connection_id === connectionId);
        if (found !== undefined) return { accountId: id as string, state: found.state as string };
      }
      throw new Error('The connection is gone.');
    };
    const { accountId, state } = await me();
    tell(`   Account ${accountId} is ${state}: it can be read, but nothing can be ordered.`);
    const act = <T extends object>(name: string, input: object) =>
      nango.triggerAction<object, T>(INTEGRATION, connectionId, name, input);
    const candidate = await act<{ id: string }>('create-candidate', { email: 'ada.alder@example.com' });
    const { packages } = await act<{ packages: { slug: string }[] }>('list-packages', {});
    const order = { candidate_id: candidate.id, package: packages[0]?.slug, idempotency_key: `first-${connectionId}` };
    const tooEarly = await act('order-background-check', order).then(
      () => 'was taken',
      () => 'was refused',
    );
    tell(`   An order ${tooEarly}.`);
    // The first sync reads what is there already. From then on only webhooks keep our records fresh, to see that they do.
    await until('the first sync', async () => {
      const { syncs } = await nango.syncStatus(INTEGRATION, ['invitations'], connectionId);
      return syncs[0]?.finishedAt ?? undefined;
    });
    await nango.pauseSync(INTEGRATION, ['invitations'], connectionId);

    tell('2. Checkr credentials the account.');
    await checkr('POST', `/_emulator/accounts/${accountId}/ready`);
    await inbox.next('account.ready');
    tell(`   We were told; the account is ${(await me()).state}.`);

    tell('3. We order a report, and the candidate fills in the form.');
    const invitation = await act<{ id: string }>('order-background-check', {
      ...order,
      idempotency_key: `second-${connectionId}`,
    });
    const play = (name: string, id: string) => checkr('POST', '/_emulator/play', { account_id: accountId, name, id });
    await play('complete-invitation', invitation.id);
    const reportOf = async (status: string): Promise<Report> =>
      until(`a report that is ${status}`, async () => {
        const { records } = await nango.listRecords<Report & { candidate_id: string }>({
          providerConfigKey: INTEGRATION,
          connectionId,
          model: 'Report',
        });
        return records.find((record) => record.candidate_id === candidate.id && record.status === status);
      });
    const report = await reportOf('pending');
    tell(`   Checkr's webhook has put report ${report.id} among our records: ${report.status}.`);

    tell('4. The report is completed at Checkr. Its webhook updates the record, and we get one signed event.');
    await play('complete-report', report.id);
    await inbox.next('sync', isUpdate);
    const done = await reportOf('complete');
    tell(`   Report ${done.id} is now ${done.status}: ${done.result}.`);

    tell('5. The customer disconnects this app at Checkr.');
    const { data: grants } = await checkr('GET', '/_emulator/grants');
    const grant = grants.find(
      (one: { accountId: string; state: string }) => one.accountId === accountId && one.state === 'active',
    );
    await checkr('POST', `/_emulator/grants/${grant.id}/revoke`);
    await inbox.next('connection.deauthorized');
    tell(`   We were told; the connection is ${(await me()).state}, and its credential is gone.`);
    return { connectionId, heard: inbox.all };
  } finally {
    if (endpoint !== undefined) await api('DELETE', `/endpoints/${endpoint.id}`);
    await inbox.close();
  }
}

/** Somebody new at the emulated Checkr, as each run needs one. */
async function signUp(
  checkr: (method: string, path: string, body?: unknown) => ReturnType<typeof callJson>,
): Promise<Customer> {
  const { data: accounts } = await checkr('GET', '/_emulator/accounts');
  const number = accounts.length + 1;
  const customer = {
    name: `Ines Falk ${number}`,
    company: `Falk Couriers ${number}`,
    email: `ines-${number}@falk.example`,
  };
  const { name, company, email } = customer;
  await checkr('POST', '/_emulator/accounts', { name: company, full_name: name, email, ready: false });
  return customer;
}

/** A webhook of the provider has changed a record that we knew. */
export function isUpdate(event: Heard): boolean {
  const { syncType, responseResults } = event as { syncType?: string; responseResults?: { updated: number } };
  return syncType === 'WEBHOOK' && responseResults?.updated === 1;
}

/** A small server that takes only what is signed with the endpoint's secret. */
async function listen(port: number) {
  const all: Heard[] = [];
  let webhook: Webhook | undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        const body = Buffer.concat(chunks).toString('utf8');
        const event = webhook?.verify(body, request.headers as Record<string, string>) as { type: string };
        const id = String(request.headers['webhook-id']);
        // The same id again is the same event again.
        if (!all.some((known) => known.id === id)) all.push({ id, ...event });
        response.writeHead(204).end();
      } catch {
        // Not signed by Hawser: nothing is done.
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve, reject) => void server.on('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    all,
    trust: (secret: string) => void (webhook = new Webhook(secret)),
    next: (type: string, isIt: (event: Heard) => boolean = () => true) =>
      until(`an event ${type}`, () => all.find((event) => event.type === type && isIt(event))),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 300; tries += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await wait(100);
  }
  throw new Error(`We waited half a minute for ${what}.`);
}

// oxlint-disable-next-line typescript/no-explicit-any -- answers are read as they come
async function callJson(url: string, method: string, body?: unknown, apiKey?: string): Promise<any> {
  const answer = await fetch(url, {
    method,
    headers: {
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

if (import.meta.main) {
  const folder = process.env['HAWSER_DATA_DIR'] ?? '.hawser';
  try {
    const file = JSON.parse(readFileSync(`${folder}/hawser.json`, 'utf8')) as {
      url: string;
      emulatorUrl: string;
      environments: { dev: { apiKey: string } };
    };
    await checkrScenario({
      host: file.url,
      apiKey: file.environments.dev.apiKey,
      checkr: `${file.emulatorUrl}/checkr`,
      port: 4010,
      show: (link, { name, company }) =>
        console.log(`   Open this in a browser, sign in as ${name} (${company}), and say yes:\n   ${link}`),
      tell: (line) => console.log(line),
    });
    console.log('That was the life of an account.');
  } catch (error) {
    console.error(error instanceof Error ? `It ended early: ${error.message}` : error);
    console.error(
      'Port 4010 has to be free, and Hawser has to run in this folder: HAWSER_EGRESS_ALLOW=127.0.0.1:4010 npm start',
    );
    process.exitCode = 1;
  }
}
