/**
 * @module emulators/engine/authorize-pages
 *
 * Sign-in, sign-up and consent as plain HTML forms. Every form posts to its own address, so the authorize request stays
 * in the URL and the server keeps nothing about it.
 */
import { type Ask, decide, readAuthorize } from './authorize.ts';
import { type HttpReply, type HttpRequest, redirectReply } from './http.ts';
import type { Mount } from './mount.ts';
import { consentPage, refusalPage, signInPage, signUpPage } from './pages.ts';
import type { Session } from './sessions.ts';
import type { User } from './types.ts';

/** Answers the authorize address; undefined when the path is not one. */
export function answerAuthorize(mount: Mount, request: HttpRequest): HttpReply | undefined {
  const read = readAuthorize(mount, request.path, request.query);
  if (read === undefined) return undefined;
  if (read.kind === 'refuse') return refusalPage(mount, read.status, read.message);
  if (read.kind === 'redirect') return redirectReply(302, read.location);

  const session = mount.sessions.find(request.headers.cookie);
  if (request.method === 'GET' || request.method === 'HEAD') return showPage(mount, read.ask, session);
  if (request.method !== 'POST') return refusalPage(mount, 400, 'This address takes GET and POST.');

  const form = new URLSearchParams(request.rawBody);
  if (session === undefined || form.get('csrf') !== session.csrf) {
    return refusalPage(mount, 403, 'This form is out of date. Go back, reload the page and try again.');
  }
  const here = `${mount.basePath}${request.path}${request.search}`;
  const user = signedIn(mount, session);
  const decision = form.get('decision');
  if (decision !== null && user !== undefined) {
    if (decision !== 'allow' && decision !== 'deny') return refusalPage(mount, 400, 'The decision is allow or deny.');
    return redirectReply(302, decide(mount, read.ask, user, decision));
  }
  if (form.get('action') === 'sign-out') return enter(mount, here, mount.sessions.open(undefined, session));
  if (form.has('company')) return signUp(mount, read.ask, session, form, here);
  return signIn(mount, read.ask, session, form, here);
}

function showPage(mount: Mount, ask: Ask, session: Session | undefined): HttpReply {
  const user = session === undefined ? undefined : signedIn(mount, session);
  if (session !== undefined && user !== undefined) return consentPage(mount, ask, session, user);
  const fresh = session ?? mount.sessions.open();
  const cookie = { 'Set-Cookie': mount.sessions.cookie(fresh) };
  return ask.page === 'sign-up' ? signUpPage(mount, ask, fresh, cookie) : signInPage(mount, ask, fresh, cookie);
}

function signIn(mount: Mount, ask: Ask, session: Session, form: URLSearchParams, here: string): HttpReply {
  const email = (form.get('email') ?? '').trim().toLowerCase();
  const password = form.get('password') ?? '';
  const chosen = mount.state.users.get(form.get('user') ?? '');
  const typed = [...mount.state.users.values()].find((each) => each.email.toLowerCase() === email);
  const user = chosen ?? (typed?.password === password ? typed : undefined);
  if (user === undefined) {
    return signInPage(mount, ask, session, {}, 'The email or the password is wrong.', email);
  }
  return enter(mount, here, mount.sessions.open(user.id, session));
}

function signUp(mount: Mount, ask: Ask, session: Session, form: URLSearchParams, here: string): HttpReply {
  const text = (name: string) => (form.get(name) ?? '').trim();
  const [company, fullName, email, password] = [text('company'), text('full_name'), text('email'), text('password')];
  const problem = signUpProblem(mount, { company, fullName, email, password });
  if (problem !== undefined) return signUpPage(mount, ask, session, {}, problem, { company, fullName, email });
  const account = mount.addAccount({ name: company, ready: false, users: [{ fullName, email, password }] });
  const user = mount.state.usersOf(account.id)[0];
  // The page that follows must be consent, also at the sign-up address.
  return enter(mount, here, mount.sessions.open(user?.id, session));
}

function signUpProblem(
  mount: Mount,
  fields: { company: string; fullName: string; email: string; password: string },
): string | undefined {
  if (Object.values(fields).some((value) => value === '')) return 'Fill in every field.';
  if (!/^[^\s@]+@[^\s@]+$/.test(fields.email)) return 'The email address is not complete.';
  const taken = [...mount.state.users.values()].some((user) => user.email.toLowerCase() === fields.email.toLowerCase());
  return taken ? 'Somebody has signed up with this email address.' : undefined;
}

function enter(mount: Mount, here: string, session: Session): HttpReply {
  return redirectReply(303, here, { 'Set-Cookie': mount.sessions.cookie(session) });
}

function signedIn(mount: Mount, session: Session): User | undefined {
  return session.userId === undefined ? undefined : mount.state.users.get(session.userId);
}
