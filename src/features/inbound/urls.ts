/**
 * The secret part of a connection's own webhook URL. Only a generation is stored, so nothing can be read from a copy; the
 * generation stands in the URL and is signed with it, so that a guess costs no look into the database.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Database } from '../../platform/postgres/index.ts';
import type { Vault } from '../environments/index.ts';
import { rotateUrl, selectUrl } from './store-urls.ts';

/** 160 bits: nobody guesses one, and the URL stays short. */
const SECRET_HEX_CHARS = 40;
/** `<row id>-<digits>`, after rotations `<row id>.<generation>-<digits>`. */
const FORM = /^([1-9][0-9]{0,15})(?:\.([1-9][0-9]{0,8}))?-([0-9a-f]{40})$/;

interface Place {
  environmentId: number;
  integrationId: number;
  /** Row id. */
  connectionId: number;
}

export interface SecretPart {
  secret: string;
  /** Until then the one before is good as well; undefined: it is not. */
  previousUntil: Date | undefined;
}

export interface UrlSecrets {
  of(place: Place): Promise<SecretPart>;
  /** From now on another one; the one before stays good for `previousMs`, and those before that end now. */
  rotate(place: Place, previousMs: number): Promise<SecretPart>;
  /** Row id of the connection that the secret part names; undefined when it is wrong, or over. */
  read(place: Omit<Place, 'connectionId'>, secret: string): Promise<number | undefined>;
}

export function createUrlSecrets({ db, vault }: { db: Database; vault: Pick<Vault, 'lookupHash'> }): UrlSecrets {
  function digestOf({ environmentId, integrationId, connectionId }: Place, generation: number): Promise<Buffer> {
    const suffix = generation === 0 ? '' : `|${generation}`;
    return vault.lookupHash(environmentId, `webhook-url|${integrationId}|${connectionId}${suffix}`);
  }

  async function partOf(place: Place, row: Awaited<ReturnType<typeof selectUrl>>): Promise<SecretPart> {
    const generation = row?.generation ?? 0;
    const digits = (await digestOf(place, generation)).toString('hex').slice(0, SECRET_HEX_CHARS);
    return {
      secret: `${place.connectionId}${generation === 0 ? '' : `.${generation}`}-${digits}`,
      previousUntil: row?.previous_until ?? undefined,
    };
  }

  return {
    of: async (place) => partOf(place, await selectUrl(db, place.environmentId, place.connectionId)),
    rotate: async (place, previousMs) =>
      partOf(place, await rotateUrl(db, place.environmentId, place.connectionId, previousMs)),
    async read(place, secret) {
      const [, id, given = '0', digits = ''] = FORM.exec(secret) ?? [];
      if (id === undefined) return undefined;
      const connectionId = Number(id);
      const generation = Number(given);
      const wanted = (await digestOf({ ...place, connectionId }, generation)).subarray(0, SECRET_HEX_CHARS / 2);
      if (!timingSafeEqual(wanted, Buffer.from(digits, 'hex'))) return undefined;
      const row = await selectUrl(db, place.environmentId, connectionId);
      const current = row?.generation ?? 0;
      const isPrevious = generation === current - 1 && row?.previous_until != null;
      return generation === current || isPrevious ? connectionId : undefined;
    },
  };
}
