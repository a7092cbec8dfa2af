import { InvalidArgumentError, type Command } from 'commander';
import { openClient, withServerOptions } from '../client.ts';
import type { Output } from '../index.ts';

interface Options {
  environment: string;
  json?: boolean;
  integration: string;
  connection: string;
  data?: string;
  header?: string[];
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'];

/** `call`: one request to a provider's API through the proxy. */
export function addCallCommand(program: Command, output: Output, done: (exitCode: number) => void): void {
  withServerOptions(
    program
      .command('call')
      .summary('one request to a provider through the proxy')
      .description('one request to the provider’s API through the proxy'),
  )
    .argument('<method>', METHODS.join(', '), readMethod)
    .argument('<path>', 'path at the provider, with query: /v1/account')
    .requiredOption('-i, --integration <key>', 'integration')
    .requiredOption('-c, --connection <id>', 'connection')
    .option('-d, --data <json>', 'body, sent as application/json')
    .option('-H, --header <name: value>', 'header for the provider; may repeat', collect)
    .action(async (method: string, path: string, options: Options) => {
      const client = await openClient(options.environment);
      try {
        const headers: Record<string, string> = {
          'provider-config-key': options.integration,
          'connection-id': options.connection,
        };
        for (const header of options.header ?? []) {
          const at = header.indexOf(':');
          headers[`nango-proxy-${header.slice(0, at).trim()}`] = header.slice(at + 1).trim();
        }
        if (options.data !== undefined) headers['content-type'] = 'application/json';
        const answer = await client.raw({
          method,
          path: `/proxy${path.startsWith('/') ? '' : '/'}${path}`,
          headers,
          ...(options.data !== undefined && { body: options.data }),
        });
        const text = answer.body.toString('utf8');
        if (options.json === true) {
          output.out(`${JSON.stringify({ status: answer.status, headers: answer.headers, body: readJson(text) })}\n`);
        } else {
          output.err(`${answer.status}\n`);
          output.out(text.endsWith('\n') || text === '' ? text : `${text}\n`);
        }
        if (answer.status >= 400) done(4);
      } finally {
        await client.close();
      }
    });
}

function readMethod(text: string): string {
  const method = text.toUpperCase();
  if (!METHODS.includes(method)) throw new InvalidArgumentError(`Use one of ${METHODS.join(', ')}.`);
  return method;
}

function collect(text: string, previous: string[] = []): string[] {
  if (!text.includes(':')) throw new InvalidArgumentError('A header is "name: value".');
  return [...previous, text];
}

/** JSON where it is JSON, the text otherwise. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // not JSON: printed as it came
  }
}
