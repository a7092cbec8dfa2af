/**
 * @module catalogue
 *
 * Every provider that can be connected, by name. A provider is one file beside this one and one line in each list here;
 * `_spec/check.test.ts` fails when a file is missing from them.
 */
import type { ProviderSpec } from './_spec/index.ts';
import checkbook from './checkbook.ts';
import checkbookSandbox from './checkbook-sandbox.ts';
import checkrPartner from './checkr-partner.ts';
import checkrPartnerStaging from './checkr-partner-staging.ts';
import oauth2Generic from './oauth2-generic.ts';
import privateApiBasic from './private-api-basic.ts';
import privateApiBearer from './private-api-bearer.ts';
import unauthenticated from './unauthenticated.ts';
import xref from './xref.ts';

const all: ProviderSpec[] = [
  checkbook,
  checkbookSandbox,
  checkrPartner,
  checkrPartnerStaging,
  oauth2Generic,
  privateApiBasic,
  privateApiBearer,
  unauthenticated,
  xref,
];

/** Sorted by name. */
export const catalogue: ReadonlyMap<string, ProviderSpec> = new Map(
  all.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((provider) => [provider.name, provider]),
);
