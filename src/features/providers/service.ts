import { catalogue } from '../../../catalogue/index.ts';
import type { ProviderSpec, Providers } from './model.ts';

/** The catalogue as a port. Tests may pass their own entries. */
export function createProviders(entries: ReadonlyMap<string, ProviderSpec> = catalogue): Providers {
  return {
    get: (name) => entries.get(name),
    list(search) {
      const all = [...entries.values()];
      if (search === undefined || search === '') return all;
      // The peer reads it as a pattern. A pattern from outside can hang the process (ReDoS): it is plain text here,
      // which finds the same for every name.
      const wanted = search.toLowerCase();
      return all.filter(({ name, displayName }) => name.includes(wanted) || displayName.toLowerCase().includes(wanted));
    },
  };
}
