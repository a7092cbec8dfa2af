/** A caller for the tests of this slice: one account, one hand-driven clock. */
import { anAccount, aGrant, aRequest, someTools } from '../engine/testing.ts';
import type { Json, JsonObject, RestReply, RestRequest } from '../engine/types.ts';
import { checkbookRest } from './rest.ts';

/** An account with a bank (verified when `ready`) and nothing else, called with a grant of `scope`. */
export function aCaller(options: { ready?: boolean; scope?: string; knobs?: Record<string, Json> } = {}) {
  const tools = someTools(options.knobs);
  const account = anAccount({ ready: options.ready ?? true });
  checkbookRest.seed(account, [], tools);
  account.data['checks'] = [];
  const grant = aGrant({ scope: options.scope ?? 'check' });
  const call = (line: string, body?: Json, fields: Partial<RestRequest> = {}) => {
    const reply = checkbookRest.handle(aRequest(line, { account, body, grant, ...fields }), tools);
    if (!reply) throw new Error(`No route for ${line}`);
    return reply as RestReply & { body: JsonObject };
  };
  return { tools, account, call };
}

/** A digital check that nothing is wrong with. */
export const CHECK = { recipient: 'kit@example.com', name: 'Kit Larch', amount: 5.25, description: 'Kites' };

export const INVOICE = { recipient: 'kit@example.com', name: 'Kit Larch', amount: 20, description: 'Lessons' };
