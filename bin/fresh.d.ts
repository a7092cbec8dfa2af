/** True when `made` is there and nothing at `sources` changed since. */
export function isFresh(made: string, sources: readonly string[]): boolean;
export const MADE_FROM: readonly string[];
