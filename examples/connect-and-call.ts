/**
 * A backend that lets one of its users connect an account, waits for it, and calls the provider's API with it. It uses
 * the published client `@nangohq/node` as it is.
 *
 * With `npm start` running: `node_modules/.bin/node examples/connect-and-call.ts`
 */
import { readFileSync } from 'node:fs';
import { Nango } from '@nangohq/node';

export interface Options {
  /** Where Hawser runs. */
  host: string;
  /** API key of an environment, from `hawser.json`. */
  apiKey: string;
  /** Key of the integration in that environment. */
  integration: string;
  /** What to ask the provider's API for. */
  endpoint: string;
  /** The user of this app who connects. */
  user: { id: string; email: string };
  /** Gives the link to the user: on a page, in a mail. */
  show(link: string): void | Promise<void>;
}

/** Resolves to the id of the new connection and to what the provider said. */
export async function connectAndCall(options: Options): Promise<{ connectionId: string; data: unknown }> {
  const nango = new Nango({ host: options.host, apiKey: options.apiKey });

  // A session is the right of one user to connect once within 30 minutes, and only to these integrations.
  const session = await nango.createConnectSession({
    end_user: options.user,
    allowed_integrations: [options.integration],
  });
  await options.show(session.data.connect_link);

  const connection = await nango.waitForConnection(options.integration, options.user.id);

  // No token here: Hawser adds the customer's credential and keeps it fresh.
  const answer = await nango.get<unknown>({
    providerConfigKey: options.integration,
    connectionId: connection.connection_id,
    endpoint: options.endpoint,
  });
  return { connectionId: connection.connection_id, data: answer.data };
}

if (import.meta.main) {
  const folder = process.env['HAWSER_DATA_DIR'] ?? '.hawser';
  try {
    const file = JSON.parse(readFileSync(`${folder}/hawser.json`, 'utf8')) as {
      url: string;
      environments: { dev: { apiKey: string } };
    };
    const result = await connectAndCall({
      host: file.url,
      apiKey: file.environments.dev.apiKey,
      integration: 'checkr-partner',
      endpoint: '/v1/account',
      user: { id: `user-${process.pid}`, email: 'ada@example.com' },
      show: (link) => console.log(`Open this in a browser:\n${link}`),
    });
    console.log(result);
  } catch (error) {
    // The message alone: the client's errors hold the whole request, with the API key.
    console.error(`It ended early: ${error instanceof Error ? error.message : 'unknown'}`);
    console.error('Hawser has to run in this folder: npm start');
    process.exitCode = 1;
  }
}
