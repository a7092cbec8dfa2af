import type { NangoAction } from 'hawser/functions';
import * as z from 'zod';
import { readHrefPage } from './href-list.ts';

export const PackageChoice = z.object({
  slug: z.string(),
  name: z.string(),
  /** Cents. */
  price: z.number().nullable(),
  screenings: z.array(z.string()),
});
export type PackageChoice = z.infer<typeof PackageChoice>;

interface Package {
  slug: string;
  name: string;
  price: number | null;
  screenings: { type: string }[];
}

/** Every package of the account. */
export async function listPackages(nango: Pick<NangoAction, 'get'>): Promise<PackageChoice[]> {
  const packages: PackageChoice[] = [];
  for (let page = 1; ; page += 1) {
    const { rows, isLast } = await readHrefPage<Package>(nango, '/v1/packages', page);
    for (const { slug, name, price, screenings } of rows) {
      packages.push({ slug, name, price: price ?? null, screenings: screenings.map(({ type }) => type) });
    }
    if (isLast || rows.length === 0) return packages;
  }
}
