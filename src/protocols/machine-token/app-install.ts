/** Tokens of an installed app: the app proves itself with a JWT and gets a token for one installation. */
import type { AppSpec } from '../../../catalogue/_spec/index.ts';
import { fillTable, holesFor, urlFrom, type TemplateInput } from '../input.ts';
import { atPath, parseBody } from '../oauth2/parse-body.ts';
import { readTokenAnswer, type HttpAnswer, type TokenAnswer } from '../oauth2/token-answer.ts';
import { machineErrors } from './errors.ts';
import { signJwt } from './jws.ts';
import type { MachineInput, TokenPlan, TokenRequest } from './model.ts';

/** Issued a little in the past: the provider's clock may be behind. */
const ISSUED_EARLIER_SECONDS = 60;
/** Ten minutes from the issue are the provider's maximum. */
const JWT_SECONDS = 540;

type AppInput = TemplateInput & Pick<MachineInput, 'client' | 'nowMs'>;

/** The JWT by which the app itself calls the provider. Errors: `credential_incomplete`, `key_not_usable`. */
export function appJwt({ client, nowMs }: Pick<AppInput, 'client' | 'nowMs'>): string {
  if (client === undefined)
    throw machineErrors.fail('credential_incomplete', { message: 'The integration has no app.' });
  const nowSeconds = Math.floor(nowMs / 1_000);
  const claims = { iat: nowSeconds - ISSUED_EARLIER_SECONDS, exp: nowSeconds + JWT_SECONDS, iss: client.clientId };
  return signJwt({ algorithm: 'RS256', key: client.clientSecret, claims });
}

/** Errors: `credential_incomplete`, `key_not_usable`, and those of templates. */
export function planInstallation(input: MachineInput & { spec: AppSpec }): TokenPlan {
  const { spec } = input;
  return {
    kind: 'request',
    earlier: [],
    last: () => appRequest(input, spec, 'POST', spec.tokenUrl),
    read: (answer, nowMs) => {
      const read = readTokenAnswer({ response: spec.response ?? {} }, answer, nowMs);
      return read.ok ? read : { ...read, kind: kindOf(read) };
    },
  };
}

/** 404: the customer has uninstalled it. 401: our own key is wrong. */
function kindOf({ kind, status }: Extract<TokenAnswer, { ok: false }>) {
  if (status === 404 || status === 410) return 'invalid_grant';
  return status === 401 ? 'invalid_client' : kind;
}

/** Asks what this installation is. */
export function installationRequest(input: AppInput & { spec: AppSpec }): TokenRequest {
  return appRequest(input, input.spec, 'GET', input.spec.installationUrl);
}

function appRequest(input: AppInput, spec: AppSpec, method: string, template: string): TokenRequest {
  const holes = holesFor(input);
  const headers: Record<string, string> = { accept: 'application/json' };
  for (const [name, value] of Object.entries(fillTable(spec.headers ?? {}, holes, 'header'))) {
    headers[name.toLowerCase()] = value;
  }
  headers['authorization'] = `Bearer ${appJwt(input)}`;
  return { method, url: urlFrom(template, holes), headers };
}

/** What the provider says of an installation; undefined when it knows none of this app. */
export function readInstallation(
  spec: AppSpec,
  answer: HttpAnswer,
): { changedAtMs: number; metadata: Record<string, string> } | undefined {
  const parsed = parseBody(answer.body);
  if (answer.status !== 200 || parsed.kind !== 'object') return undefined;
  const moments = spec.changedAt.map((path) => Date.parse(String(atPath(parsed.value, path))));
  const changedAtMs = Math.max(...moments.filter((moment) => !Number.isNaN(moment)));
  if (!Number.isFinite(changedAtMs)) return undefined;
  const metadata: Record<string, string> = {};
  for (const [key, path] of Object.entries(spec.metadata ?? {})) {
    const value = atPath(parsed.value, path);
    if (typeof value === 'string' || Number.isSafeInteger(value)) metadata[key] = String(value);
  }
  return { changedAtMs, metadata };
}
