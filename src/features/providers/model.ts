import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';

export type { ProviderSpec };

export interface Providers {
  get(name: string): ProviderSpec | undefined;
  /** All, by name. `search` is a case-insensitive text or pattern on the name (wire contract B.2). */
  list(search?: string): ProviderSpec[];
}
