/**
 * OAuth in a window of its own. The result comes over a WebSocket, by postMessage of the callback page, or over a
 * BroadcastChannel, whichever gets through first; all carry the same client id, so that two attempts never mix.
 */
import { attemptQuery, ConnectError, type Connected, type Integration } from './api.ts';

/** Codes of providers that change what the person is told. */
const PERSONAL = ['access_denied', 'invalid_client'];

const WIDTH = 520;
const HEIGHT = 720;
/** Without an answer of the socket by then, the window goes on without it. */
const SOCKET_WAIT_MS = 3_000;
const CLOSED_CHECK_MS = 500;

export interface PopupAttempt {
  result: Promise<Connected>;
  /** Gives up waiting and closes the window. */
  cancel(): void;
}

/**
 * Opens the provider's login. Must run inside a click handler. `onClosed` runs when the window seems to be gone: some
 * providers cut the tie between windows, so that is a hint and no proof. Errors: `blocked_by_browser`.
 */
export function openPopup(
  token: string,
  integration: Integration,
  params: Record<string, string>,
  options: { socketPath: string; onClosed(): void },
): PopupAttempt {
  const left = Math.max(0, window.screenX + (window.outerWidth - WIDTH) / 2);
  const top = Math.max(0, window.screenY + (window.outerHeight - HEIGHT) / 2);
  const opened = window.open('', '_blank', `popup,width=${WIDTH},height=${HEIGHT},left=${left},top=${top}`);
  if (opened === null) throw new ConnectError('blocked_by_browser', '');
  const waiting = waitForResult(options.socketPath, opened);
  void waiting.clientId.then((clientId) => {
    opened.location.href = startUrl(token, integration, params, { ws_client_id: clientId });
    return undefined;
  });
  const timer = setInterval(() => {
    if (!opened.closed) return;
    clearInterval(timer);
    options.onClosed();
  }, CLOSED_CHECK_MS);
  const end = (): void => {
    clearInterval(timer);
    waiting.stop();
    opened.close();
  };
  return { result: waiting.result.finally(end), cancel: end };
}

/** The address a browser goes to for the provider's login. */
export function startUrl(
  token: string,
  integration: Integration,
  params: Record<string, string>,
  more: Record<string, string>,
): string {
  return `/oauth/connect/${encodeURIComponent(integration.unique_key)}?${attemptQuery(token, params, more)}`;
}

function failed(
  providerError: string | undefined,
  type: string | undefined,
  message: string | undefined,
): ConnectError {
  const own = PERSONAL.find((code) => code === providerError);
  return new ConnectError(own ?? type ?? 'unknown_err', message ?? '');
}

interface Said {
  type?: string;
  payload?: {
    clientId?: string;
    providerConfigKey?: string;
    connectionId?: string;
    message?: string;
    errorType?: string;
    providerError?: string;
  };
}

function waitForResult(socketPath: string, opened: Window) {
  const { promise: result, resolve, reject } = Promise.withResolvers<Connected>();
  let id: string | undefined;
  const clientId = Promise.withResolvers<string>();
  const settleId = (value: string): void => {
    id ??= value;
    clientId.resolve(id);
  };

  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${socketPath}`);
  socket.addEventListener('message', (event) => {
    const data = JSON.parse(String(event.data)) as Record<string, string>;
    if (data['message_type'] === 'connection_ack') settleId(data['ws_client_id'] ?? crypto.randomUUID());
    if (data['message_type'] === 'success') {
      resolve({ providerConfigKey: data['provider_config_key'] ?? '', connectionId: data['connection_id'] ?? '' });
    }
    if (data['message_type'] === 'error') {
      reject(failed(data['provider_error'], data['error_type'], data['error_desc']));
    }
  });
  // Proxies that know no WebSocket: the callback page tells us instead.
  socket.addEventListener('error', () => settleId(crypto.randomUUID()));
  const timer = setTimeout(() => settleId(crypto.randomUUID()), SOCKET_WAIT_MS);

  const hear = (said: Said | null): boolean => {
    if (id === undefined || said?.payload?.clientId !== id) return false;
    const { payload } = said;
    if (said.type === 'nango_oauth_callback_success') {
      resolve({ providerConfigKey: payload.providerConfigKey ?? '', connectionId: payload.connectionId ?? '' });
    } else {
      reject(failed(payload.providerError, payload.errorType, payload.message));
    }
    return true;
  };
  const onMessage = (event: MessageEvent): void => {
    if (event.origin !== location.origin || event.source !== opened) return;
    if (hear(event.data as Said)) opened.postMessage({ type: 'nango_oauth_callback_ack' }, location.origin);
  };
  addEventListener('message', onMessage);
  const channel = new BroadcastChannel('nango-oauth-callback');
  channel.addEventListener('message', (event) => hear(event.data as Said));

  const stop = (): void => {
    clearTimeout(timer);
    socket.close();
    channel.close();
    removeEventListener('message', onMessage);
  };
  return { result, clientId: clientId.promise, stop };
}
