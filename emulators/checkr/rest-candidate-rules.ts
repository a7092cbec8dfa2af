/** What Checkr refuses about a candidate. Source: providers.md 1.10 "Errors" and "Staging data"; wording assumed. */
import { booleanField, isEmail, isObject, RestFault, textField, textsField } from '../engine/rest-routes.ts';
import type { Account, JsonObject } from '../engine/types.ts';
import { candidatesOf, type Candidate } from './rest-model.ts';
import { isMockSsn } from './rest-outcomes.ts';

/** Youngest candidate, in years. The documents name 16 and 18; the lower one holds for every order (assumption). */
const AGE_MIN_YEARS = 16;

/** Letters of any language, digits, space, hyphen, apostrophe, period, comma. */
const NAME = /^[\p{L}\p{M}\d '.,-]+$/u;

/** Plain text fields that may be set. */
const TEXTS = [
  'first_name',
  'middle_name',
  'last_name',
  'mother_maiden_name',
  'email',
  'phone',
  'zipcode',
  'dob',
  'driver_license_number',
  'driver_license_state',
  'previous_driver_license_number',
  'previous_driver_license_state',
  'custom_id',
] as const;

/**
 * Reads the fields that a body sets. `existing` is the candidate that is updated, undefined for a new one.
 * Throws a 400 refusal with every sentence that applies.
 */
export function readCandidate(
  account: Account,
  body: JsonObject,
  nowMs: number,
  existing?: Candidate,
): Partial<Candidate> {
  const fields: Partial<Candidate> = {};
  const wrong: string[] = [];

  for (const name of TEXTS) if (name in body) fields[name] = (textField(body, name) ?? null) as string;
  for (const name of ['first_name', 'middle_name', 'last_name', 'mother_maiden_name'] as const) {
    const value = fields[name];
    if (value && !NAME.test(value)) wrong.push(`${sentenceName(name)} contains invalid characters`);
  }

  const email = existing && !('email' in body) ? existing.email : fields.email;
  if (!email) wrong.push("Email can't be blank");
  else if (!isEmail(email)) wrong.push('Email is invalid');

  if (fields.zipcode && !/^\d{5}(-?\d{4})?$/.test(fields.zipcode)) wrong.push('Zipcode is invalid');
  if (fields.driver_license_state && !/^[A-Z]{2}$/.test(fields.driver_license_state)) {
    wrong.push('Driver license state is invalid');
  }
  if (fields.dob) wrong.push(...dobProblems(fields.dob, nowMs));

  if ('ssn' in body) {
    const ssn = textField(body, 'ssn')?.replaceAll('-', '');
    if (ssn !== undefined && !isSsn(ssn)) wrong.push('SSN is invalid');
    else if (ssn !== undefined && isTaken(account, ssn, email, existing)) wrong.push('SSN has already been taken');
    fields.hiddenSsn = ssn ?? null;
  }

  const noMiddleName = booleanField(body, 'no_middle_name');
  if (noMiddleName !== undefined) fields.no_middle_name = noMiddleName;
  const middleName = 'middle_name' in body ? fields.middle_name : existing?.middle_name;
  if ((noMiddleName ?? existing?.no_middle_name) && middleName) {
    wrong.push('Middle name must be blank when no_middle_name is true');
  }

  const copyRequested = booleanField(body, 'copy_requested');
  if (copyRequested !== undefined) fields.copy_requested = copyRequested;
  if ('geo_ids' in body) fields.geo_ids = textsField(body, 'geo_ids');
  if (isObject(body['metadata'])) fields.metadata = body['metadata'];
  if (Array.isArray(body['work_locations'])) fields.work_locations = body['work_locations'];

  if (wrong.length > 0) throw new RestFault(400, wrong);
  return fields;
}

/** Nine digits, not 666… or 9…, not one digit repeated, not sequential. Source: Checkr's staging guide. */
export function isSsn(digits: string): boolean {
  if (!/^\d{9}$/.test(digits) || digits.startsWith('666') || digits.startsWith('9')) return false;
  return !/^(\d)\1{8}$/.test(digits) && !['123456789', '987654321', '012345678'].includes(digits);
}

/** Somebody else of the account has this number. Mock numbers may be used by everybody (assumption). */
function isTaken(account: Account, ssn: string, email: string | null | undefined, existing?: Candidate): boolean {
  if (isMockSsn(ssn)) return false;
  return candidatesOf(account).some(
    (other) =>
      other.hiddenSsn === ssn && other.id !== existing?.id && other.email.toLowerCase() !== email?.toLowerCase(),
  );
}

function dobProblems(dob: string, nowMs: number): string[] {
  const bornMs = /^\d{4}-\d{2}-\d{2}$/.test(dob) ? Date.parse(`${dob}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(bornMs) || bornMs > nowMs || !new Date(bornMs).toISOString().startsWith(dob)) {
    return ['Dob is invalid'];
  }
  const youngest = new Date(nowMs);
  youngest.setUTCFullYear(youngest.getUTCFullYear() - AGE_MIN_YEARS);
  return bornMs > youngest.getTime() ? [`Candidate must be at least ${AGE_MIN_YEARS} years old`] : [];
}

function sentenceName(field: string): string {
  const words = field.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
