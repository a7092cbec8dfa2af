/** TLS client certificates: connections made with one are never used for anything else. */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** A client certificate with its private key, both PEM. */
export interface ClientIdentity {
  certificate: string;
  privateKey: string;
}

/** Certificates in use at the same time; the least used one gives up its kept connections. */
const IDENTITIES_MAX = 256;

/** Keeps one value per certificate and key; `end` gets what falls out. The key is the hash: no secret is kept in it. */
export function createIdentityPools<T extends object>(make: (identity: ClientIdentity) => T, end: (pool: T) => void) {
  const pools = new LRUCache<string, T>({ max: IDENTITIES_MAX, dispose: (pool) => end(pool) });
  return {
    of(identity: ClientIdentity): T {
      const key = createHash('sha256')
        .update(identity.certificate)
        .update('\0')
        .update(identity.privateKey)
        .digest('hex');
      let pool = pools.get(key);
      if (pool === undefined) {
        pool = make(identity);
        pools.set(key, pool);
      }
      return pool;
    },
    clear: () => pools.clear(),
  };
}

export type IdentityPools<T extends object> = ReturnType<typeof createIdentityPools<T>>;
