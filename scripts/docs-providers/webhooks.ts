/** What a provider's page says about its webhooks. */
import type {
  WebhookMeaning,
  WebhookMeaningRule,
  WebhookPlace,
  WebhookRoute,
  WebhooksSpec,
} from '../../catalogue/_spec/index.ts';

/** Lines of the section. */
export function webhookFacts(webhooks: WebhooksSpec): string[] {
  const { type, id, list, route, meanings, challenge } = webhooks;
  return [
    webhooks.setup,
    `Proof: ${proofText(webhooks.verify)}`,
    ...(type === undefined ? [] : [`Type of an event: ${placeText(type)}`]),
    webhooks.repeats === true
      ? 'Each delivery is an event of its own: nothing in it tells a repeated one'
      : `The same event is known again by ${id === undefined ? 'its body' : placeText(id)}`,
    ...(list === undefined ? [] : [`${listText([list].flat())} is a list: each item is an event`]),
    ...(route === 'all' ? ['It is about every connection of the integration'] : route.map(routeText)),
    ...(route.length === 0 ? ['Nothing in it tells whose it is: only the webhook URL of a connection does'] : []),
    ...Object.entries(meanings ?? {}).map(([name, meaning]) => meaningText(name, meaning)),
    ...(challenge === undefined ? [] : ['The challenge by which the URL is checked is answered']),
  ];
}

function listText(paths: string[]): string {
  return paths
    .map((path) => (path === '.' ? 'the body' : `\`${path}\``))
    .join(', else ')
    .replace(/^t/, 'T');
}

function meaningText(name: string, given: WebhookMeaning | WebhookMeaningRule): string {
  const { is, when, lists }: WebhookMeaningRule = typeof given === 'string' ? { is: given } : given;
  const condition = when === undefined ? '' : ` with \`${when.path}\` = \`${when.equals}\``;
  const limit = lists === undefined ? '' : `, where ${lists.map(({ path }) => `\`${path}\``).join(' or ')} names it`;
  return `\`${name}\`${condition} ${MEANINGS[is]}${limit}`;
}

const MEANINGS = {
  deauthorized: 'ends the connection: its credential is wiped and the app is told',
  account_ready: 'makes the connection ready',
} as const;

const SECRETS = { integration: 'the webhook secret of the integration', client: 'the client secret' } as const;

function proofText(verify: WebhooksSpec['verify']): string {
  switch (verify.kind) {
    case 'none':
      return 'none. The URL of a connection, or `webhook_trust: none`, is needed';
    case 'token':
      return `${verify.secrets.map((one) => SECRETS[one]).join(' or ')} comes along in ${placeText(verify.in)}`;
    case 'hmac': {
      const { algorithm, encoding, headers, signed, bodyHashParam, timestamp, urlProves } = verify;
      const hash = bodyHashParam === undefined ? '' : ` (of a body that is no form, \`${bodyHashParam}\` in the URL holds the SHA-256)`; // prettier-ignore
      const window = timestamp === undefined ? '' : `, at most ${timestamp.toleranceSeconds} s old`;
      const url = urlProves === undefined ? '' : `. At the URL of a connection any signature will do: ${urlProves}`;
      return `HMAC-${algorithm.toUpperCase()} (${encoding}) of \`${signed}\`${hash} in ${placeText({ headers })}${window}, by ${verify.secrets.map((one) => SECRETS[one]).join(' or ')}${url}`;
    }
  }
}

function placeText({ headers = [], paths = [] }: WebhookPlace): string {
  return [...headers.map((name) => `header \`${name}\``), ...paths.map((path) => `\`${path}\``)].join(', else ');
}

const LOOKUPS: Record<string, string> = {
  account: 'the account of a connection',
  token: 'the access token of a connection',
  record: 'the id of a synced record',
  connectionId: 'a connection id',
};

function routeText({ events, from, by }: WebhookRoute): string {
  const whose = events === undefined ? 'It is' : `${events.map((name) => `\`${name}\``).join(', ')} is`;
  return `${whose} for the connections where ${placeText(from)} is ${LOOKUPS[by] ?? `\`${by}\``}`;
}
