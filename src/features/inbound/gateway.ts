/** `/webhook/…`: raw bytes in, a flat error out (wire contract E). Mounted beside the declared routes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HawserError, isHawserError } from '../../base/errors.ts';
import { errorText, type Log } from '../../base/log.ts';
import type { Environments } from '../environments/index.ts';
import { integrationErrors, webhookPath, type IntegrationService } from '../integrations/index.ts';
import type { Connections } from '../connections/index.ts';
import { inboundErrors } from './errors.ts';
import { BODY_BYTES_MAX } from './limits.ts';
import { answerQuestion, type Receive, type WebhookAnswer, type WebhookTarget } from './receive.ts';
import type { Unproven } from './unproven.ts';
import type { UrlSecrets } from './urls.ts';

export interface GatewayDeps {
  log: Log;
  environments: Pick<Environments, 'byUuid'>;
  integrations: Pick<IntegrationService, 'peek' | 'byKey'>;
  connections: Pick<Connections, 'byId'>;
  receive: Receive;
  urls: Pick<UrlSecrets, 'read'>;
  unproven: Unproven;
  /** Where providers reach this server, without trailing slash. */
  serverUrl: () => string;
  /** Gives a body that drips in up. */
  watchBody(request: FastifyRequest): void;
  /** Turns what the server itself refused into an error of ours. */
  toError(error: unknown): HawserError;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the gateway before the body is read. */
    webhookTarget: WebhookTarget | undefined;
  }
}

interface Params {
  environmentUuid: string;
  providerConfigKey: string;
  secret?: string;
}

/** Codes whose answer has the envelope (wire contract A.4); all others are flat. */
const ENVELOPED = ['unknown_environment', 'unknown_provider_config', 'unknown_webhook_url'];

export async function registerGateway(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  await app.register(async (scope) => {
    scope.decorateRequest('webhookTarget', undefined);
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    for (const url of [
      '/webhook/:environmentUuid/:providerConfigKey',
      '/webhook/:environmentUuid/:providerConfigKey/:secret',
    ]) {
      scope.route({
        method: 'POST',
        url,
        // Providers call it, nobody else; `GET /integrations/:uniqueKey` tells the URL.
        schema: { hide: true },
        bodyLimit: BODY_BYTES_MAX,
        // Before the body is read: nobody sends a megabyte to a place that is not there.
        onRequest: async (request) => {
          request.webhookTarget = await targetOf(deps, request.params as Params);
          deps.unproven.admit(request, request.webhookTarget);
        },
        preParsing: (request, _reply, payload, done) => {
          deps.watchBody(request);
          done(null, payload);
        },
        handler: (request, reply) => answer(deps, request, reply),
        errorHandler: (error, request, reply) => refuse(deps, error, request, reply),
      });
      scope.route({
        method: ['GET', 'HEAD'],
        url,
        schema: { hide: true },
        handler: async (request, reply) => {
          request.webhookTarget = await targetOf(deps, request.params as Params);
          const query = new URLSearchParams(searchOf(request));
          return send(reply, answerQuestion(request.webhookTarget, request.method, query));
        },
        errorHandler: (error, request, reply) => refuse(deps, error, request, reply),
      });
    }
  });
}

/** Errors: `unknown_environment`, `unknown_provider_config`, `unknown_webhook_url`. */
async function targetOf(deps: GatewayDeps, params: Params): Promise<WebhookTarget> {
  const environment = await deps.environments.byUuid(params.environmentUuid);
  if (environment === undefined) throw inboundErrors.fail('unknown_environment');
  const { id: environmentId } = environment;
  const key = params.providerConfigKey;
  const integration = deps.integrations.peek(environmentId, key) ?? (await deps.integrations.byKey(environmentId, key));
  if (integration === undefined) throw integrationErrors.fail('unknown_provider_config', { status: 404 });
  if (params.secret === undefined) return { environment, integration, connection: undefined };
  const id = await deps.urls.read({ environmentId, integrationId: integration.id }, params.secret);
  const connection = id === undefined ? undefined : await deps.connections.byId(environmentId, id);
  if (connection?.integrationId !== integration.id) throw inboundErrors.fail('unknown_webhook_url');
  return { environment, integration, connection };
}

async function answer(deps: GatewayDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const target = request.webhookTarget as WebhookTarget;
  const { secret } = request.params as Params;
  const path = webhookPath(target.environment, target.integration.uniqueKey);
  const search = searchOf(request);
  const told = await deps.receive(target, {
    method: request.method,
    url: `${deps.serverUrl()}${path}${secret === undefined ? '' : `/${secret}`}${search}`,
    headers: request.headers,
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    query: new URLSearchParams(search),
  });
  if (told.isProven === true) deps.unproven.proved(request, target);
  return send(reply, told);
}

function searchOf({ url }: FastifyRequest): string {
  return url.includes('?') ? url.slice(url.indexOf('?')) : '';
}

function send(reply: FastifyReply, { status, body, contentType }: WebhookAnswer): FastifyReply {
  return reply
    .code(status)
    .header('content-type', `${contentType}; charset=utf-8`)
    .serializer((text: unknown) => text as string)
    .send(body);
}

function refuse(deps: GatewayDeps, thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failed = deps.toError(thrown);
  const limited = deps.unproven.refused(request, request.webhookTarget, failed);
  const error = limited?.error ?? failed;
  const { code, message, status } = error;
  if (status >= 500) {
    deps.log.error('a webhook could not be taken', {
      requestId: request.id,
      code,
      error: errorText(error.cause ?? thrown),
    });
  }
  // Whoever sends again later has lost nothing.
  if (status === 503) void reply.header('retry-after', '1');
  // RFC 9110 15.5.6
  if (status === 405) void reply.header('allow', 'POST');
  void reply.headers(limited?.headers ?? {});
  if (status >= 500 && !error.retryable) return reply.code(status).send({ error: 'internal_error' });
  const isEnveloped = isHawserError(error, ...ENVELOPED);
  return reply.code(status).send(isEnveloped ? { error: { code, message } } : { error: message, code });
}
