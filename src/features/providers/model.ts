import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';

export type { ProviderSpec };

export interface Providers {
  get(name: string): ProviderSpec | undefined;
  /** All, by name. `search`: case-insensitive plain text on name and display name (wire contract B.2). */
  list(search?: string): ProviderSpec[];
}
