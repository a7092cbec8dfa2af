/** Banks and the user of the fake Checkbook. Source: providers.md 3.6; replies without body assumed. */
import { collection, isObject, RestFault, textField, type Call, type Route } from '../engine/rest-routes.ts';
import type { Account, JsonObject, RestReply, User } from '../engine/types.ts';
import { banksOf, findOr404, naiveDate, open, type Bank } from './rest-model.ts';
import { jsonBody, refuseFields } from './rest-rules.ts';

/** Micro-deposits of the sandbox, in dollars, in either order. */
const MICRO_DEPOSITS = [0.07, 0.15];

const BANK_TYPES: Bank['type'][] = ['CHECKING', 'SAVINGS', 'BUSINESS'];

/** Characters of a webhook address. */
const WEBHOOK_CHARACTERS_MAX = 256;

/** Fields of a user that the user may set. */
const USER_TEXTS = ['first_name', 'last_name', 'business_name', 'phone', 'dob'] as const;

interface Profile extends JsonObject {
  id: string;
  first_name: string | null;
  last_name: string | null;
  business_name: string | null;
  phone: string | null;
  dob: string | null;
  /** Last four digits only; the rest is not kept. */
  ssn: string | null;
  hiddenWebhookUri: string | null;
}

export const accountRoutes: Route[] = [
  ...['/v3/account/bank', '/v3/bank'].flatMap((path): Route[] => [
    ['GET', path, listBanks],
    ['POST', path, createBank],
  ]),
  ['POST', '/v3/account/bank/release', releaseDeposits],
  ['POST', '/v3/account/bank/verify', verifyBank],
  ['GET', '/v3/user', (call) => ({ status: 200, body: showUser(call) })],
  ['PUT', '/v3/user', updateUser],
  // Marketplaces only; no emulated account is one.
  ['POST', '/v3/user', refuseMarketplace],
  ['GET', '/v3/user/list', refuseMarketplace],
  ['DELETE', '/v3/user/:id', refuseMarketplace],
  ['POST', '/v3/user/signature', refuseMarketplace],
];

function refuseMarketplace(): RestReply {
  throw new RestFault(403, 'Only marketplaces may do this');
}

function listBanks(call: Call): RestReply {
  return { status: 200, body: { banks: banksOf(call.account).map(open) } };
}

function createBank(call: Call): RestReply {
  const { account, tools } = call;
  const body = jsonBody(call);
  const fields: Record<string, string> = {};
  const number = textField(body, 'account') ?? '';
  const routing = textField(body, 'routing') ?? '';
  const type = BANK_TYPES.find((known) => known === body['type']);
  const name = textField(body, 'name');
  if (!/^\d{4,17}$/.test(number)) fields['account'] = 'Must have 4 to 17 digits';
  if (!/^\d{9}$/.test(routing)) fields['routing'] = 'Must have 9 digits';
  if (!type) fields['type'] = `Must be one of ${BANK_TYPES.join(', ')}`;
  refuseFields(fields);
  const bank: Bank = {
    id: tools.hexId(32),
    account: number.slice(-4),
    routing,
    name: name ?? 'Bank account',
    type: type ?? 'CHECKING',
    status: 'PENDING',
    default: banksOf(account).length === 0,
    billing: false,
    balance: null,
    date: naiveDate(tools.clock.now()),
    hiddenReleased: false,
  };
  banksOf(account).push(bank);
  return { status: 201, body: open(bank), changed: true };
}

function pendingBank(call: Call, body: JsonObject): Bank {
  const bank = findOr404(banksOf(call.account), textField(body, 'account'), 'Bank account');
  if (bank.status !== 'PENDING')
    throw new RestFault(400, `A bank account that is ${bank.status} is not verified again`);
  return bank;
}

function releaseDeposits(call: Call): RestReply {
  pendingBank(call, jsonBody(call)).hiddenReleased = true;
  return { status: 204, changed: true };
}

function verifyBank(call: Call): RestReply {
  const body = jsonBody(call);
  const bank = pendingBank(call, body);
  if (!bank.hiddenReleased) throw new RestFault(400, 'The micro-deposits were not released');
  const amounts = [body['amount_1'], body['amount_2']].toSorted((a, b) => Number(a) - Number(b));
  if (MICRO_DEPOSITS.some((amount, index) => amounts[index] !== amount)) {
    refuseFields({ amount_1: 'Amounts do not match', amount_2: 'Amounts do not match' });
  }
  bank.status = 'VERIFIED';
  call.account.ready = true;
  return { status: 204, changed: true };
}

function profileOf(account: Account, user: User): Profile {
  const profiles = collection<Profile>(account, 'profiles');
  const known = profiles.find((profile) => profile.id === user.id);
  if (known) return known;
  const [first, ...rest] = user.fullName.split(' ');
  const made: Profile = {
    id: user.id,
    first_name: first ?? null,
    last_name: rest.join(' ') || null,
    business_name: account.name,
    phone: null,
    dob: null,
    ssn: null,
    hiddenWebhookUri: null,
  };
  profiles.push(made);
  return made;
}

/** Where users of an account want to hear of its checks and invoices. */
export function webhookUrisOf(account: Account): string[] {
  const uris = collection<Profile>(account, 'profiles').map((profile) => profile.hiddenWebhookUri);
  return [...new Set(uris.filter((uri) => uri !== null))];
}

function showUser(call: Call): JsonObject {
  const profile = profileOf(call.account, call.request.user);
  return {
    user: { ...open(profile), email: call.request.user.email, status: call.account.ready ? 'VERIFIED' : 'UNVERIFIED' },
    merchant: null,
    brand: null,
    developer: { webhook_uri: profile.hiddenWebhookUri },
  };
}

function updateUser(call: Call): RestReply {
  const body = jsonBody(call);
  const sent = isObject(body['user']) ? body['user'] : body;
  const developer = isObject(body['developer']) ? body['developer'] : {};
  const fields: Record<string, string> = {};
  const ssn = textField(sent, 'ssn')?.replaceAll('-', '');
  if (ssn !== undefined && !/^\d{9}$/.test(ssn)) fields['ssn'] = 'Must have 9 digits';
  const dob = textField(sent, 'dob');
  if (dob !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(dob)) fields['dob'] = 'Must be yyyy-mm-dd';
  const webhookUri = textField(developer, 'webhook_uri');
  if (webhookUri !== undefined && webhookUri.length > WEBHOOK_CHARACTERS_MAX) {
    fields['webhook_uri'] = `Length must be at most ${WEBHOOK_CHARACTERS_MAX}`;
  } else if (webhookUri && !/^https?:$/.test(URL.parse(webhookUri)?.protocol ?? '')) {
    fields['webhook_uri'] = 'Not a valid URL';
  }
  refuseFields(fields);

  const profile = profileOf(call.account, call.request.user);
  for (const name of USER_TEXTS) if (name in sent) profile[name] = textField(sent, name) ?? null;
  if (ssn !== undefined) profile.ssn = ssn.slice(-4);
  if ('webhook_uri' in developer) profile.hiddenWebhookUri = webhookUri || null;
  return { status: 200, body: showUser(call), changed: true };
}
