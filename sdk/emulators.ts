/**
 * @module hawser/emulators
 *
 * Fake Checkr, Xref and Checkbook for your own tests: whole OAuth servers with consent pages, a slice of each API, rate
 * limits and faults, on a free port of this machine. Nothing is installed, nothing leaves the machine.
 *
 * @example
 * ```ts
 * import { startEmulator } from 'hawser/emulators';
 *
 * const checkr = await startEmulator('checkr');
 * const app = checkr.registerApp({ name: 'My app', redirectUri: 'https://my.app/callback' });
 *
 * // What the customer's browser would do, without a browser:
 * const back = new URL(checkr.consent(`${checkr.url}/authorize/${app.clientId}?state=abc`));
 * const reply = await fetch(`${checkr.url}/oauth/tokens`, {
 *   method: 'POST',
 *   body: new URLSearchParams({
 *     client_id: app.clientId,
 *     client_secret: app.liveSecret,
 *     code: back.searchParams.get('code') ?? '',
 *   }),
 * });
 * const { access_token } = await reply.json();
 *
 * // Break it on purpose:
 * checkr.setFault({ name: 'rate-limited', on: 'api' });
 *
 * await checkr.close();
 * ```
 */
import { type EmulatorHandle, type EmulatorName, type EmulatorOptions, startEmulators } from '../emulators/index.ts';

export {
  type Account,
  type ActiveFault,
  type App,
  AppError,
  type AppFields,
  createManualClock,
  type Decision,
  EMULATOR_NAMES,
  type EmulatorEvent,
  type EmulatorHandle,
  type EmulatorLog,
  type EmulatorName,
  type EmulatorOptions,
  type Emulators,
  type EventListener,
  type Fault,
  FAULT_ENDPOINTS,
  FAULT_NAMES,
  type FaultEndpoint,
  FaultError,
  type FaultName,
  type Grant,
  type Json,
  KnobError,
  type ManualClock,
  type Play,
  type RateLimitDialect,
  type RecordedRequest,
  startEmulators,
  type User,
  type Webhook,
  type WebhookAttempt,
} from '../emulators/index.ts';

/** One emulator with a server of its own. */
export interface Emulator extends EmulatorHandle {
  /** Stops the server. */
  close(): Promise<void>;
  /** Same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts one emulator alone; its base URL has no prefix. Use it in place of every host of the provider.
 * Errors: `StartupError` for an unknown name, a taken port or a damaged state file.
 */
export async function startEmulator(
  name: EmulatorName,
  options: Omit<EmulatorOptions, 'only'> = {},
): Promise<Emulator> {
  const emulators = await startEmulators({ ...options, only: name });
  const close = () => emulators.close();
  return { ...emulators.get(name), close, [Symbol.asyncDispose]: close };
}
