/** The zod form of {@link WebhooksSpec}, and the rules that a schema cannot say. */
import { z } from 'zod';
import { holesOf } from '../../src/base/template.ts';
import type { ProviderSpec } from './index.ts';
import type { WebhooksSpec } from './webhooks.ts';

const text = z.string().min(1);
const header = z.string().regex(/^[a-z0-9!#$%&'*+.^_`|~-]+$/, 'a header name in lower case');
const path = z.string().regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'a dotted path');
const place = z.strictObject({ headers: z.array(header).min(1).optional(), paths: z.array(path).min(1).optional() });
const list = z.union([z.literal('.'), path]);
const secrets = z.array(z.enum(['integration', 'client'])).min(1);
const property = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*$/);
const lookup = z.union([
  z.enum(['account', 'token', 'record', 'connectionId']),
  z.templateLiteral(['connectionConfig.', property]),
  z.templateLiteral(['metadata.', property]),
]);

const meaning = z.enum(['deauthorized', 'account_ready']);
const unit = z.enum(['seconds', 'milliseconds', 'date']);

const verify = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hmac'),
    headers: z.array(header).min(1),
    algorithm: z.enum(['sha256', 'sha1', 'sha512']),
    encoding: z.enum(['hex', 'base64']),
    prefix: text.optional(),
    parts: z.strictObject({ signature: text, timestamp: text.optional(), nonce: text.optional() }).optional(),
    signed: text,
    bodyHashParam: text.optional(),
    timestamp: z
      .strictObject({
        header: header.optional(),
        unit,
        toleranceSeconds: z.number().int().positive(),
      })
      .optional(),
    secrets,
    urlProves: text.optional(),
  }),
  z.strictObject({ kind: z.literal('token'), in: place, secrets }),
  z.strictObject({ kind: z.literal('none') }),
]);

export const webhooksSchema = z.strictObject({
  verify,
  type: place.optional(),
  id: place.optional(),
  repeats: z.literal(true).optional(),
  list: z.union([list, z.array(list).min(2)]).optional(),
  route: z.union([
    z.literal('all'),
    z.array(
      z.strictObject({
        events: z.array(text).min(1).optional(),
        from: place,
        by: lookup,
        stripSuffix: text.optional(),
      }),
    ),
  ]),
  at: z.strictObject({ in: place, unit }).optional(),
  meanings: z
    .record(
      text,
      z.union([
        meaning,
        z.strictObject({
          is: meaning,
          when: z.strictObject({ path, equals: text }).optional(),
          lists: z
            .array(z.strictObject({ path, config: property, unless: property.optional() }))
            .min(1)
            .optional(),
          echoesEach: z.literal(true).optional(),
        }),
      ]),
    )
    .optional(),
  redact: z.array(path).min(1).optional(),
  challenge: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('body'),
        when: z.strictObject({ path, equals: text }),
        reply: path,
      }),
      z.strictObject({ kind: z.literal('query'), param: text }),
      z.strictObject({
        kind: z.literal('get'),
        param: text,
        field: text,
        signs: z.strictObject({ algorithm: z.literal('sha256'), prefix: text }).optional(),
        token: text.optional(),
        secrets,
      }),
      z.strictObject({ kind: z.literal('head') }),
    ])
    .optional(),
  reply: z.strictObject({ status: z.number().int().min(200).max(299), body: z.string() }).optional(),
  keepHeaders: z.array(header).min(1).optional(),
  setup: text,
});

/** What `signed` may hold. */
const SIGNED_HOLES = ['body', 'timestamp', 'nonce', 'method', 'url', 'form'];

export function checkWebhooks(
  webhooks: WebhooksSpec,
  spec: ProviderSpec,
  report: (where: string, problem: string) => void,
): void {
  const { verify: proof, route } = webhooks;
  if (proof.kind === 'hmac') checkHmac(proof, report);
  const asked = webhooks.challenge?.kind === 'get' ? webhooks.challenge.secrets : [];
  const secretsUsed = [...asked, ...(proof.kind === 'none' ? [] : proof.secrets)];
  if (secretsUsed.includes('client') && !['OAUTH2', 'OAUTH1', 'APP'].includes(spec.authMode))
    report('webhooks.verify.secrets', `authMode ${spec.authMode} has no client secret`);
  for (const [name, one] of Object.entries({ type: webhooks.type, id: webhooks.id, at: webhooks.at?.in })) {
    if (one !== undefined && one.headers === undefined && one.paths === undefined)
      report(`webhooks.${name}`, 'names no place');
  }
  if (webhooks.repeats !== undefined && webhooks.id !== undefined)
    report('webhooks.repeats', 'an event with an id is known again by it');
  if (webhooks.meanings !== undefined && webhooks.type === undefined)
    report('webhooks.meanings', 'an event needs a type to have a meaning');
  checkMeanings(webhooks, spec, report);
  if (route === 'all') return;
  const others = route.filter((rule) => rule.events === undefined);
  if (others.length > 1) report('webhooks.route', 'only one rule may be for all other events');
  for (const [index, rule] of route.entries()) {
    const where = `webhooks.route.${index}`;
    if (rule.from.headers === undefined && rule.from.paths === undefined) report(`${where}.from`, 'names no place');
    if (rule.by === 'account' && spec.account === undefined) report(where, 'the entry has no `account`');
    const [group, name] = rule.by.split('.');
    if (group === 'connectionConfig' && spec.connectionConfig?.[name as string] === undefined)
      report(where, `there is no connectionConfig field "${name}"`);
  }
}

function checkMeanings(
  { verify: proof, route, meanings = {} }: WebhooksSpec,
  spec: ProviderSpec,
  report: (where: string, problem: string) => void,
): void {
  for (const [type, given] of Object.entries(meanings)) {
    const where = `webhooks.meanings.${type}`;
    const rule = typeof given === 'string' ? { is: given } : given;
    for (const { config, unless } of rule.lists ?? []) {
      for (const name of [config, unless]) {
        if (name !== undefined && spec.connectionConfig?.[name] === undefined)
          report(where, `there is no connectionConfig field "${name}"`);
      }
    }
    if (rule.is !== 'deauthorized') continue;
    const rules = route === 'all' ? [] : route;
    const found = rules.find((one) => one.events?.includes(type)) ?? rules.find((one) => one.events === undefined);
    const by = found?.by;
    if (by === 'token') continue;
    // Whoever holds the token may end it; an account id is known to many.
    if (by !== 'account' && by?.startsWith('connectionConfig.') !== true)
      report(where, 'an event that ends a connection names its token, its account or what its provider knows it by');
    if (proof.kind !== 'hmac') report(where, 'an event that ends a connection and names no token has to be signed');
    if (found?.from.headers !== undefined)
      report(where, 'an event that ends a connection names it in its body: headers are not signed');
  }
}

function checkHmac(
  proof: Extract<WebhooksSpec['verify'], { kind: 'hmac' }>,
  report: (where: string, problem: string) => void,
): void {
  const where = 'webhooks.verify';
  const holes = holesOf(proof.signed);
  for (const hole of holes) if (!SIGNED_HOLES.includes(hole)) report(`${where}.signed`, `there is no \${${hole}}`);
  if (holes.includes('body') === holes.includes('form')) report(`${where}.signed`, 'holds either the body or the form');
  if (holes.includes('form') !== (proof.bodyHashParam !== undefined))
    report(
      `${where}.bodyHashParam`,
      'a form is signed in place of the body only when other bodies are signed by their hash',
    );
  const hasTime = proof.timestamp?.header !== undefined || proof.parts?.timestamp !== undefined;
  if (holes.includes('timestamp') !== hasTime || hasTime !== (proof.timestamp !== undefined))
    report(`${where}.timestamp`, 'a time is signed when it comes along, and then has a tolerance');
  if (holes.includes('nonce') !== (proof.parts?.nonce !== undefined))
    report(`${where}.parts.nonce`, 'belongs to `${nonce}` in `signed`');
}
