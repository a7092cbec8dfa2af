/** The part of `oidc-provider` (which ships no types) that `oidc.ts` uses. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Context {
    status: number;
    oidc?: { route?: string; params?: Record<string, string | undefined> };
  }

  interface Interaction {
    params: Record<string, string | undefined>;
  }

  interface StoredToken {
    isValid: boolean;
  }

  export class Grant {
    constructor(properties: { accountId: string; clientId: string });
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>;
    Grant: typeof Grant;
    AccessToken: { find(token: string): Promise<StoredToken | undefined> };
    RefreshToken: { find(token: string): Promise<StoredToken | undefined> };
  }
}
