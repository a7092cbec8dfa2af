import type { TemplateInput } from '../input.ts';
import type { HttpRequest } from '../oauth2/request.ts';
import type { HttpAnswer, TokenAnswer } from '../oauth2/token-answer.ts';

/** A TLS client certificate with its key, both PEM. */
export interface ClientCertificate {
  certificate: string;
  privateKey: string;
}

export interface TokenRequest extends HttpRequest {
  /** Presented in the TLS handshake. */
  tls?: ClientCertificate;
  /** Headers that depend on the address which is really called. */
  sign?: (target: URL) => Record<string, string>;
}

/** What a token is made from. */
export interface MachineInput extends TemplateInput {
  /** The values of the customer's form; for installs, what was learned. */
  fields: Readonly<Record<string, string>>;
  /** The app's own registration, for the modes that need one. */
  client?: { clientId: string; clientSecret: string } | undefined;
  nowMs: number;
}

export type Tokens = Extract<TokenAnswer, { ok: true }>;

/** How the next token comes about. */
export type TokenPlan =
  /** Made here, nobody is asked. */
  | { kind: 'local'; tokens: Tokens }
  /** Asked for. `earlier`: requests that come first, each given the answers so far; `last` brings the token. */
  | {
      kind: 'request';
      earlier: ((answers: readonly Record<string, unknown>[]) => TokenRequest)[];
      last: (answers: readonly Record<string, unknown>[]) => TokenRequest;
      read: (answer: HttpAnswer, nowMs: number) => TokenAnswer;
    };
