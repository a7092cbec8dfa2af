/**
 * Memory of one test server. The library's own holds at most 1,000 entries and is shared by all servers of a process.
 */
type Payload = Record<string, unknown> & { uid?: string; grantId?: string; consumed?: number; exp?: number };

/** The adapter class that `oidc-provider` makes one instance of per model. Expired entries stay: the library checks `exp`. */
export function createOidcStore(): new (model: string) => object {
  const entries = new Map<string, Payload>();

  return class Store {
    readonly model: string;

    constructor(model: string) {
      this.model = model;
    }

    async upsert(id: string, payload: Payload): Promise<void> {
      entries.set(this.key(id), payload);
    }

    async find(id: string): Promise<Payload | undefined> {
      return entries.get(this.key(id));
    }

    async findByUid(uid: string): Promise<Payload | undefined> {
      return [...entries].find(([key, payload]) => key.startsWith(`${this.model}:`) && payload.uid === uid)?.[1];
    }

    async findByUserCode(): Promise<undefined> {
      return undefined; // the device flow is off
    }

    async consume(id: string): Promise<void> {
      const payload = entries.get(this.key(id));
      // Any truthy stamp marks it as used.
      if (payload !== undefined) payload.consumed = payload.exp ?? 1;
    }

    async destroy(id: string): Promise<void> {
      entries.delete(this.key(id));
    }

    async revokeByGrantId(grantId: string): Promise<void> {
      for (const [key, payload] of entries) if (payload.grantId === grantId) entries.delete(key);
    }

    key(id: string): string {
      return `${this.model}:${id}`;
    }
  };
}
