/** What the fake Checkbook refuses about money orders. Source: providers.md 3.6; wording of fields assumed. */
import { bodyObject, isEmail, isObject, RestFault, textField, type Call } from '../engine/rest-routes.ts';
import type { Json, JsonObject } from '../engine/types.ts';
import { banksOf, hasSignature } from './rest-model.ts';

const DEPOSIT_OPTIONS = new Set([
  'BANK',
  'PRINT',
  'MAIL',
  'CARD',
  'VCC',
  'RTP',
  'PAYPAL',
  'VENMO',
  'WALLET',
  'INTERAC',
  'WIRE',
]);

/** Dollars; above it a signature must be on file. */
const UNSIGNED_AMOUNT_MAX = 2_000;

const COMMENT_CHARACTERS_MAX = 1_024;
const REMITTANCE_LINES_MAX = 50;
const ADDRESS_FIELDS = ['line_1', 'city', 'state', 'zip'];

/** Sentence of a 400 with per-field errors. */
const INVALID = 'JSON parameters invalid';

/** A body that is a JSON object; form bodies are not documented. */
export function jsonBody(call: Call): JsonObject {
  return bodyObject(call.request, INVALID);
}

/** Throws the 400 with its fields when there are any. */
export function refuseFields(fields: Record<string, string>): void {
  if (Object.keys(fields).length > 0) throw new RestFault(400, INVALID, fields);
}

export interface MoneyFields {
  name: string;
  amount: number;
  description: string | null;
}

/** Reads what checks and invoices share; problems are added to `fields`. */
export function readMoney(body: JsonObject, fields: Record<string, string>): MoneyFields {
  const name = textField(body, 'name') ?? '';
  if (name.length < 2 || name.length > 180) fields['name'] = 'Length must be from 2 to 180';
  const { amount } = body;
  if (typeof amount !== 'number' || amount < 0.01) fields['amount'] = 'Must be a number of at least 0.01';
  // 0.1 + 0.2 is not 0.3: compare with a tolerance far below a cent.
  else if (Math.abs(amount * 100 - Math.round(amount * 100)) > 1e-6)
    fields['amount'] = 'Must have at most two decimals';
  return { name, amount: typeof amount === 'number' ? amount : 0, description: textField(body, 'description') ?? null };
}

/** E-mail, phone or user id. */
export function readRecipient(body: JsonObject, fields: Record<string, string>): string {
  const recipient = textField(body, 'recipient') ?? '';
  const isKnown = isEmail(recipient) || /^\+?[\d ()-]{10,20}$/.test(recipient) || /^[0-9a-f]{32}$/.test(recipient);
  if (!isKnown) fields['recipient'] = 'Must be an e-mail address, a phone number or a user id';
  return recipient;
}

/** Postal address of a physical check. */
export function readAddress(body: JsonObject, fields: Record<string, string>): JsonObject {
  const { recipient } = body;
  if (!isObject(recipient)) {
    fields['recipient'] = 'Must be an address';
    return {};
  }
  for (const name of ADDRESS_FIELDS) if (!textField(recipient, name)) fields[`recipient.${name}`] = 'Required';
  const names = ['line_1', 'line_2', 'city', 'state', 'zip', 'country'];
  return Object.fromEntries(names.flatMap((name) => (name in recipient ? [[name, recipient[name] ?? null]] : [])));
}

/** Comment and remittance advice of a check. */
export function readNotes(
  body: JsonObject,
  fields: Record<string, string>,
): { comment: string | null; remittance: Json } {
  const comment = textField(body, 'comment') ?? null;
  if (comment !== null && comment.length > COMMENT_CHARACTERS_MAX) {
    fields['comment'] = `Length must be at most ${COMMENT_CHARACTERS_MAX}`;
  }
  const remittance = body['remittance_advice'] ?? null;
  if (remittance !== null) {
    const isList = Array.isArray(remittance) && remittance.length >= 1 && remittance.length <= REMITTANCE_LINES_MAX;
    if (!isList) fields['remittance_advice'] = `Must be a list of 1 to ${REMITTANCE_LINES_MAX}`;
  }
  return { comment, remittance };
}

/** Throws 400 for a way of deposit that does not exist. */
export function checkDepositOptions(body: JsonObject): void {
  const options = body['deposit_options'];
  if (options === undefined || options === null) return;
  const isGood = Array.isArray(options) && options.every((one) => typeof one === 'string' && DEPOSIT_OPTIONS.has(one));
  if (!isGood) throw new RestFault(400, 'Invalid deposit option');
}

/** Throws 400 unless the account can pay the amount: a verified bank, and a signature for a large amount. */
export function checkFunds(call: Call, amount: number, bankId: string | undefined): void {
  const banks = banksOf(call.account);
  if (bankId !== undefined && !banks.some((bank) => bank.id === bankId)) {
    throw new RestFault(400, INVALID, { account: 'Unknown account' });
  }
  const usable = banks.filter((bank) => bank.status === 'VERIFIED' && (bankId === undefined || bank.id === bankId));
  if (usable.length === 0) throw new RestFault(400, 'No verified bank account');
  if (amount > UNSIGNED_AMOUNT_MAX && !hasSignature(call)) {
    throw new RestFault(400, `A signature is required for amounts above $${UNSIGNED_AMOUNT_MAX}`);
  }
}
