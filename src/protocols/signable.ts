/** What a signature needs of a request, and what it gives. */

/** A request as it will go out, but for the signature. */
export interface Signable {
  method: string;
  url: URL;
  /** Query as sent, when it differs from the URL's form. Without `?`. */
  query?: string;
  /** Path as sent, when it differs from the URL's form. */
  path?: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** Empty: no body, or one that the signature does not cover. */
  body: Buffer;
  /** True: there is a body that is not at hand. */
  streamed: boolean;
  nowMs: number;
}

export interface Signer {
  /** True when the whole body must be at hand for a request with this content type. */
  needsBody(contentType: string): boolean;
  /** Headers to add, names in lower case. */
  sign(request: Signable): Record<string, string>;
}
