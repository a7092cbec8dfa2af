/**
 * @module emulators/engine/sessions
 *
 * Browser sessions of the fake provider's pages: who is signed in, and the token that every form must send back.
 * In memory only; after a restart people sign in again.
 */
import { hexId } from './ids.ts';

export interface Session {
  id: string;
  /** Hidden field of every form of this session. */
  csrf: string;
  userId?: string;
}

/** Sessions kept; the oldest goes first. */
const SESSIONS_MAX = 5_000;

export class Sessions {
  readonly cookieName: string;
  readonly #cookiePath: string;
  readonly #secure: boolean;
  readonly #sessions = new Map<string, Session>();

  constructor(options: { name: string; path: string; secure: boolean }) {
    this.cookieName = `emulator_${options.name}`;
    this.#cookiePath = options.path === '' ? '/' : options.path;
    this.#secure = options.secure;
  }

  /** The session of a Cookie header, or undefined. */
  find(cookieHeader: string | undefined): Session | undefined {
    for (const part of (cookieHeader ?? '').split(';')) {
      const [name, value] = part.trim().split('=', 2);
      if (name === this.cookieName && value !== undefined) return this.#sessions.get(value);
    }
    return undefined;
  }

  /** Opens a session, signed in when `userId` is given. Replaces `old`: its id must not outlive a sign-in. */
  open(userId?: string, old?: Session): Session {
    if (old !== undefined) this.#sessions.delete(old.id);
    const oldest = this.#sessions.keys().next();
    if (this.#sessions.size >= SESSIONS_MAX && !oldest.done) this.#sessions.delete(oldest.value);
    const session: Session = { id: hexId(40), csrf: hexId(40), ...(userId === undefined ? {} : { userId }) };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** Value of the Set-Cookie header. */
  cookie(session: Session): string {
    const secure = this.#secure ? '; Secure' : '';
    return `${this.cookieName}=${session.id}; Path=${this.#cookiePath}; HttpOnly; SameSite=Lax${secure}`;
  }

  clear(): void {
    this.#sessions.clear();
  }
}
