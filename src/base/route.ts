/**
 * How an endpoint is declared. One `defineRoute` per file under a slice's `routes/`; the HTTP shell mounts them,
 * checks `auth` before anything else, validates, and turns errors into the wire envelope. A route without `auth` does
 * not type-check and does not boot.
 */
import type { z } from 'zod';

/** An isolated world of integrations, connections and keys; chosen by the API key. */
export interface Environment {
  id: number;
  uuid: string;
  name: string;
  isProduction: boolean;
  /** Replaces `<public URL>/oauth/callback` when set. */
  callbackUrl: string | undefined;
}

/** What a connect session allows, as every slice may need to know it. */
export interface SessionView {
  id: string;
  allowedIntegrations: string[] | undefined;
  /** Row id of the one connection that may be repaired. */
  reconnectId: number | undefined;
}

/** Who calls. */
export type Principal =
  | { kind: 'key'; environment: Environment; keyId: string; scopes: readonly string[] }
  | { kind: 'session'; environment: Environment; session: SessionView };

export type RouteAuth =
  /** Environment API key holding one of these scopes (wildcards `x:*` count). Empty list: any key. */
  | { by: 'key'; anyOf: readonly string[] }
  /** Connect session token as Bearer. */
  | { by: 'session' }
  /** Either. */
  | { by: 'key-or-session'; anyOf: readonly string[] }
  /** Nobody: say why. */
  | { by: 'public'; why: string };

export interface RouteRequest<P, Q, B, H> {
  principal: Principal;
  params: P;
  query: Q;
  body: B;
  headers: H;
  /** Request id, printed in logs and in `X-Request-Id`. */
  id: string;
  /** Address of the peer; forwarded headers are not believed. */
  ip: string;
  /** Raw `Cookie` header. */
  cookie: string;
  /** Raw `Origin` header. */
  origin: string | undefined;
  signal: AbortSignal;
}

export interface RouteReply {
  /** Default 200. */
  status?: number;
  /** JSON value; absent: empty body. */
  body?: unknown;
  /** HTML instead of JSON. */
  html?: string;
  /** Location of a 302. */
  redirect?: string;
  headers?: Record<string, string | string[]>;
  /** The token or password of a public route did not fit, though the status does not say so (401 does): a guess. */
  isWrongSecret?: boolean;
}

type Schema = z.ZodType | undefined;
type Out<S extends Schema> = S extends z.ZodType ? z.output<S> : Record<string, never>;

export interface RouteSpec<P extends Schema, Q extends Schema, B extends Schema, H extends Schema> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify path: `/connections/:connectionId`. */
  path: string;
  /** One sentence for OpenAPI. */
  summary: string;
  auth: RouteAuth;
  params?: P;
  /** Strict: unknown keys are refused. */
  query?: Q;
  body?: B;
  /** Only the named headers are looked at. */
  headers?: H;
  /** Shape of the success body, for OpenAPI. */
  output?: z.ZodType;
  /** Codes this route may answer beside those of auth and validation. */
  errors: readonly string[];
  /** Default 1 MiB. */
  bodyBytesMax?: number;
  /** Failures before `handle` (validation, auth) are shown as HTML: for routes a person's browser opens. */
  html?: boolean;
  /** True takes HTML forms instead of JSON. */
  form?: boolean;
  /** False keeps the route out of OpenAPI (pages, aliases). Default true. */
  documented?: boolean;
  handle(request: RouteRequest<Out<P>, Out<Q>, Out<B>, Out<H>>): Promise<RouteReply> | RouteReply;
}

/** A declared endpoint with its types erased, as the shell mounts it. */
export type Route = Omit<RouteSpec<Schema, Schema, Schema, Schema>, 'handle'> & {
  handle(request: RouteRequest<unknown, unknown, unknown, unknown>): Promise<RouteReply> | RouteReply;
};

/** Declares an endpoint; the handler sees the parsed types. */
export function defineRoute<
  P extends Schema = undefined,
  Q extends Schema = undefined,
  B extends Schema = undefined,
  H extends Schema = undefined,
>(spec: RouteSpec<P, Q, B, H>): Route {
  return spec as unknown as Route;
}

/** The environment of a call, whoever makes it. */
export function environmentOf(request: { principal: Principal }): Environment {
  return request.principal.environment;
}

/** True when `scopes` grant `wanted`, directly or by a wildcard (`environment:*`, `environment:connections:*`). */
export function grantsScope(scopes: readonly string[], wanted: string): boolean {
  return scopes.some((scope) => scope === wanted || (scope.endsWith(':*') && wanted.startsWith(scope.slice(0, -1))));
}
