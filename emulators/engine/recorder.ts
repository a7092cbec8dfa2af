/**
 * @module emulators/engine/recorder
 *
 * What was asked of an emulator, for tests and the developer page. Names of query parameters only: values may be codes,
 * states or personal data.
 */
export interface RecordedRequest {
  method: string;
  /** Below the mount, without query. */
  path: string;
  queryNames: string[];
  /** 0 when the connection was cut without an answer. */
  status: number;
  /** ISO 8601. */
  at: string;
}

/** Requests kept; the oldest goes first. */
const REQUESTS_MAX = 1_000;

export class Recorder {
  #requests: RecordedRequest[] = [];
  #tokenRequests = 0;

  add(request: RecordedRequest): void {
    this.#requests.push(request);
    if (this.#requests.length > REQUESTS_MAX * 2) this.#requests = this.#requests.slice(-REQUESTS_MAX);
  }

  /** Counted when the request arrives, so that a call that gets no answer counts too. */
  countTokenRequest(): void {
    this.#tokenRequests += 1;
  }

  list(): RecordedRequest[] {
    return this.#requests.slice(-REQUESTS_MAX).map((request) => ({ ...request }));
  }

  tokenRequestCount(): number {
    return this.#tokenRequests;
  }

  clear(): void {
    this.#requests = [];
    this.#tokenRequests = 0;
  }
}
