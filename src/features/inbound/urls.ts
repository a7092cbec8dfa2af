/** The secret part of a connection's own webhook URL: nothing is stored, so nothing can be read from a copy. */
import { timingSafeEqual } from 'node:crypto';
import type { Vault } from '../environments/index.ts';

/** 160 bits: nobody guesses one, and the URL stays short. */
const SECRET_HEX_CHARS = 40;
const FORM = /^([1-9][0-9]{0,15})-([0-9a-f]{40})$/;

interface Place {
  environmentId: number;
  integrationId: number;
  /** Row id. */
  connectionId: number;
}

export async function urlSecretOf(vault: Pick<Vault, 'lookupHash'>, place: Place): Promise<string> {
  return `${place.connectionId}-${(await digestOf(vault, place)).toString('hex').slice(0, SECRET_HEX_CHARS)}`;
}

/** Row id of the connection that the secret part names; undefined when it is wrong. */
export async function readUrlSecret(
  vault: Pick<Vault, 'lookupHash'>,
  place: Omit<Place, 'connectionId'>,
  secret: string,
): Promise<number | undefined> {
  const [, id, digits = ''] = FORM.exec(secret) ?? [];
  if (id === undefined) return undefined;
  const connectionId = Number(id);
  const wanted = (await digestOf(vault, { ...place, connectionId })).subarray(0, SECRET_HEX_CHARS / 2);
  return timingSafeEqual(wanted, Buffer.from(digits, 'hex')) ? connectionId : undefined;
}

function digestOf(vault: Pick<Vault, 'lookupHash'>, place: Place): Promise<Buffer> {
  return vault.lookupHash(place.environmentId, `webhook-url|${place.integrationId}|${place.connectionId}`);
}
