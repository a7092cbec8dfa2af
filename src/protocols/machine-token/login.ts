/** The customer's own login, sent by us, for a session token. Source: wire contract H.4, H.7. */
import type { LoginRequestSpec, LoginSpec } from '../../../catalogue/_spec/index.ts';
import { fillTemplate } from '../../base/template.ts';
import { fillTable, holesFor, urlFrom, type Holes } from '../input.ts';
import { atPath } from '../oauth2/parse-body.ts';
import { readTokenAnswer } from '../oauth2/token-answer.ts';
import { machineErrors } from './errors.ts';
import { customerHoles, secretValues } from './fields.ts';
import { expiryOfJwt } from './jws.ts';
import type { MachineInput, TokenPlan, TokenRequest } from './model.ts';
import { asCustomers } from './refusal.ts';

/** Longest value that one step hands to the next. */
const KEPT_CHARS_MAX = 16_384;

/** Errors: `credential_incomplete`, and those of templates. */
export function planLogin(input: MachineInput & { spec: LoginSpec }): TokenPlan {
  const { token, steps = [], response = {} } = input.spec;
  const holesAfter = (answers: readonly Record<string, unknown>[]): Holes =>
    holesFor(input, { ...customerHoles(input.fields), ...keptOf(steps, answers) });
  return {
    kind: 'request',
    earlier: steps.map((step) => (answers) => request(step, holesAfter(answers))),
    last: (answers) => request(token, holesAfter(answers)),
    read(answer, nowMs) {
      const read = asCustomers(readTokenAnswer({ response }, answer, nowMs, secretValues(input)));
      if (!read.ok || read.expiresAtMs !== undefined) return read;
      const expiresAtMs = expiryOfJwt(read.accessToken);
      return { ...read, ...(expiresAtMs !== undefined && { expiresAtMs }) };
    },
  };
}

/** `step1.name` → value. Errors: `credential_incomplete` when an answer does not hold what it should. */
function keptOf(
  steps: NonNullable<LoginSpec['steps']>,
  answers: readonly Record<string, unknown>[],
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [index, answer] of answers.entries()) {
    for (const [name, path] of Object.entries(steps[index]?.keep ?? {})) {
      const value = atPath(answer, path);
      const text = typeof value === 'number' ? String(value) : value;
      if (typeof text !== 'string' || text === '' || text.length > KEPT_CHARS_MAX) {
        const message = `Step ${index + 1} of the login did not bring what the next one needs.`;
        throw machineErrors.fail('credential_incomplete', { message });
      }
      kept[`step${index + 1}.${name}`] = text;
    }
  }
  return kept;
}

function request(spec: LoginRequestSpec, holes: Holes): TokenRequest {
  const headers: Record<string, string> = { accept: 'application/json' };
  for (const [name, value] of Object.entries(fillTable(spec.headers ?? {}, holes, 'header'))) {
    headers[name.toLowerCase()] = value;
  }
  if (spec.basic !== undefined) {
    const half = (template: string) => fillTemplate(template, holes.values, { fields: holes.fields }) ?? '';
    const pair = `${half(spec.basic.username)}:${half(spec.basic.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
  }
  const { method = 'POST' } = spec;
  const url = urlFrom(spec.url, holes);
  if (method === 'GET') return { method, url, headers };
  const params = fillTable(spec.params ?? {}, holes);
  if (spec.body === 'form') {
    headers['content-type'] = 'application/x-www-form-urlencoded';
    return { method, url, headers, body: new URLSearchParams(params).toString() };
  }
  headers['content-type'] = 'application/json';
  return { method, url, headers, body: JSON.stringify(params) };
}
