/** What an answer to a refresh tells beside the token: an organization may have moved to another address. */
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { checkField } from '../../base/template.ts';

export interface LearnedAnew {
  /** Changed values that are what their field wants. */
  values: Record<string, string>;
  /** Names of values that are not: the old ones stay, as the token is good all the same. */
  refused: string[];
}

/** Compares what was told with what is known. The account never changes by a refresh: whose it is was decided on connect. */
export function learnedAnew(
  provider: ProviderSpec,
  known: Record<string, unknown>,
  told: Record<string, string>,
): LearnedAnew {
  const learned: LearnedAnew = { values: {}, refused: [] };
  for (const [name, value] of Object.entries(told)) {
    const field = provider.connectionConfig?.[name];
    if (!field?.automated || name === provider.account?.idFrom || known[name] === value) continue;
    if (checkField(field, value) === undefined) learned.values[name] = value;
    else learned.refused.push(name);
  }
  return learned;
}
