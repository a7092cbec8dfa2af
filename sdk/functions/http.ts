import type { Untyped } from './types.ts';

type ParamValue = string | number | boolean | null | undefined;

/** A call of the provider's API. */
export interface ProxyConfiguration {
  /** Path below the provider's base URL. */
  endpoint: string;
  /** Default GET. */
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'get' | 'post' | 'put' | 'patch' | 'delete';
  headers?: Record<string, string>;
  /** Added to the query; a list repeats its name. */
  params?: string | Record<string, ParamValue | ParamValue[]>;
  /** Objects are sent as JSON, or as a form when the content type says so. */
  data?: unknown;
  /** Further tries after 429, 5xx and network errors. Default 0. */
  retries?: number;
  baseUrlOverride?: string;
  /** Integration and connection, when another one of the environment is meant. */
  providerConfigKey?: string;
  connectionId?: string;
  decompress?: boolean;
  /** Statuses beside the usual ones. */
  retryOn?: (number | string)[] | null;
  /** Name of the header that says when to try again: `at` a time, `after` seconds. */
  retryHeader?: { at?: string; after?: string };
  /** Default JSON. `arraybuffer` gives a Buffer. */
  responseType?: 'arraybuffer' | 'blob' | 'document' | 'json' | 'text' | 'stream';
  forwardHeadersOnRedirect?: boolean;
  paginate?: Pagination;
}

/** How a listing is read; what is not given comes from the provider's own. */
export interface Pagination {
  type?: 'cursor' | 'link' | 'offset';
  /** Page size, and the name of its parameter. */
  limit?: number;
  limit_name_in_request?: string;
  /** Where in the answer the list is, such as `data.items`. Default: the answer itself. */
  response_path?: string;
  /** Parameters go into the body. Default: for POST, PUT and PATCH. */
  in_body?: boolean;
  on_page?: (page: { nextPageParam?: string | number; response: ScriptResponse<Untyped> }) => Promise<void> | void;
  cursor_name_in_request?: string;
  cursor_path_in_response?: string;
  link_rel_in_response_header?: string;
  link_path_in_response_body?: string;
  offset_name_in_request?: string;
  offset_start_value?: number;
  offset_calculation_method?: 'by-response-size' | 'per-page';
}

/** An answer, as axios gives it. */
export interface ScriptResponse<T = Untyped> {
  data: T;
  status: number;
  statusText: string;
  /** Names in lower case. */
  headers: Record<string, Untyped>;
  config: Untyped;
  request?: Untyped;
}
