/**
 * Resources of the fake Checkbook: ids of 32 hex digits, amounts in decimal US dollars, dates without zone.
 * Names that begin with `hidden` never leave the emulator. Source: providers.md 3.5 and 3.6.
 */
import { booleanKnob, collection, integerParam, RestFault, type Call } from '../engine/rest-routes.ts';
import type { Account, Grant, Json, JsonObject, RestReply } from '../engine/types.ts';

/** Every knob that this slice reads, with its default. */
export const checkbookKnobs = {
  /** `new`: `{message, errors?}`; `legacy`: `{error}`. */
  errorShape: 'new',
  /** What uses up a single-use grant: `write` (a send or a request) or `any` successful call. */
  singleUseConsumes: 'write',
  /** Whether the user has a signature on file, which amounts above $2000 need. */
  signatureOnFile: false,
  /** Whether the sandbox's own calls exist (`PUT /v3/check/webhook/:check_id`). */
  sandboxCalls: true,
} satisfies Record<string, Json>;

export const STATUSES = [
  'PAID',
  'UNPAID',
  'IN_PROCESS',
  'MAILED',
  'PRINTED',
  'VOID',
  'EXPIRED',
  'FAILED',
  'REFUNDED',
] as const;

export type Status = (typeof STATUSES)[number];
export type Direction = 'INCOMING' | 'OUTGOING';

export interface Check extends JsonObject {
  id: string;
  status: Status;
  amount: number;
  name: string;
  /** E-mail, phone or user id; an address for a physical check. */
  recipient: Json;
  description: string | null;
  comment: string | null;
  number: string;
  date: string;
  image_uri: string | null;
  remittance_advice: Json;
  hiddenDirection: Direction;
  hiddenSender: string;
  hiddenType: 'DIGITAL' | 'PHYSICAL';
  /** `{status, date}`, oldest first. */
  hiddenHistory: JsonObject[];
}

export interface Invoice extends JsonObject {
  id: string;
  status: Status;
  amount: number;
  name: string;
  recipient: string;
  description: string;
  number: string;
  date: string;
  hiddenDirection: Direction;
}

export interface Bank extends JsonObject {
  id: string;
  /** Last four digits. */
  account: string;
  routing: string;
  name: string;
  type: 'CHECKING' | 'SAVINGS' | 'BUSINESS';
  status: 'PENDING' | 'VERIFIED' | 'DEPOSIT_ONLY';
  default: boolean;
  billing: boolean;
  balance: number | null;
  date: string;
  /** True once the micro-deposits are on their way. */
  hiddenReleased: boolean;
}

export const checksOf = (account: Account) => collection<Check>(account, 'checks');
export const invoicesOf = (account: Account) => collection<Invoice>(account, 'invoices');

/**
 * The banks. `account.ready` says whether one is verified; when somebody else changed it, the first bank follows.
 */
export function banksOf(account: Account): Bank[] {
  const banks = collection<Bank>(account, 'banks');
  const verified = banks.filter((bank) => bank.status === 'VERIFIED');
  if (account.ready && verified.length === 0 && banks[0]) banks[0].status = 'VERIFIED';
  if (!account.ready) for (const bank of verified) bank.status = 'PENDING';
  return banks;
}

/** Finds by id or throws 404. */
export function findOr404<T extends { id: string }>(rows: T[], id: string | undefined, what: string): T {
  const found = rows.find((row) => row.id === id);
  if (!found) throw new RestFault(404, `${what} not found`);
  return found;
}

/** `YYYY-MM-DD HH:MM:SS`, in UTC although nothing says so. */
export function naiveDate(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ');
}

/** A resource without its internal fields. */
export function open(resource: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !name.startsWith('hidden')));
}

/** What `check_receive` may not do. The status is an assumption. */
export function requireSend(grant: Grant): void {
  if (grant.scope.split(' ').includes('check_receive')) {
    throw new RestFault(403, 'The scope of this token does not allow sending');
  }
}

/** Marks a successful send or request made with a single-use grant. */
export function spends(grant: Grant): { spendsGrant?: true } {
  return grant.scope === 'single-use' ? { spendsGrant: true } : {};
}

/** Whether amounts above the limit are allowed. */
export function hasSignature(call: Call): boolean {
  return booleanKnob(call.tools, 'signatureOnFile', checkbookKnobs.signatureOnFile);
}

/** Largest page (assumption; clients are known to ask for 10, 25 and 50). */
const PER_PAGE_MAX = 100;
const PER_PAGE_DEFAULT = 50;

/** One page in the envelope `{<plural>, page, pages, total}`. */
export function listReply(call: Call, plural: string, rows: JsonObject[]): RestReply {
  const page = integerParam(call.request.query, 'page', 1);
  const perPage = integerParam(call.request.query, 'per_page', PER_PAGE_DEFAULT);
  const fields: Record<string, string> = {};
  if (page === undefined || page < 1) fields['page'] = 'Must be at least 1';
  if (perPage === undefined || perPage < 1 || perPage > PER_PAGE_MAX) {
    fields['per_page'] = `Must be from 1 to ${PER_PAGE_MAX}`;
  }
  if (page === undefined || perPage === undefined || Object.keys(fields).length > 0) {
    throw new RestFault(400, 'Invalid query parameters', fields);
  }
  return {
    status: 200,
    body: {
      [plural]: rows.slice((page - 1) * perPage, page * perPage),
      page,
      pages: Math.max(1, Math.ceil(rows.length / perPage)),
      total: rows.length,
    },
  };
}

/** Next number of a check or invoice. */
export function nextNumber(rows: { number: string }[], first: number): string {
  return String(rows.reduce((highest, row) => Math.max(highest, Number(row.number) || 0), first - 1) + 1);
}
