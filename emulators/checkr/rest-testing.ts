/** A caller for the tests of this slice: one account, one hand-driven clock, real bodies. */
import { anAccount, aGrant, aRequest, someTools, type TestTools } from '../engine/testing.ts';
import type { Account, Json, JsonObject, RestReply, RestRequest } from '../engine/types.ts';
import { checkrRest } from './rest.ts';
import { seed } from './rest-seed.ts';

export interface Caller {
  account: Account;
  tools: TestTools;
  /** Sends one call; throws when no route matches. */
  call(line: string, body?: Json, fields?: Partial<RestRequest>): RestReply & { body: JsonObject };
  /** Makes a candidate and returns its id. */
  candidate(fields?: JsonObject): string;
}

/** An account with the default packages and nodes and nothing else. */
export function aCaller(options: { ready?: boolean; knobs?: Record<string, Json> } = {}): Caller {
  const tools = someTools(options.knobs);
  const account = anAccount({ ready: options.ready ?? true });
  seed(account, tools);
  for (const name of ['candidates', 'invitations', 'reports', 'screenings', 'adverse_items']) account.data[name] = [];

  const caller: Caller = {
    account,
    tools,
    call(line, body, fields = {}) {
      const reply = checkrRest.handle(aRequest(line, { account, body, grant: aGrant(), ...fields }), tools);
      if (!reply) throw new Error(`No route for ${line}`);
      return reply as RestReply & { body: JsonObject };
    },
    candidate(fields = {}) {
      const reply = caller.call('POST /v1/candidates', { email: `person${tools.hexId(4)}@example.com`, ...fields });
      if (reply.status !== 201) throw new Error(`Candidate refused: ${JSON.stringify(reply.body)}`);
      return String(reply.body['id']);
    },
  };
  return caller;
}

/** Everything that a direct order of a report asks for. */
export const FULL_CANDIDATE = {
  first_name: 'Ada',
  last_name: 'Alder',
  dob: '1980-02-03',
  ssn: '111-11-2001',
  zipcode: '94105',
};
