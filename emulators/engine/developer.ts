/**
 * @module emulators/engine/developer
 *
 * What the forms of the developer page do. Every form posts to `/developer/<action>` and comes back to the page.
 */
import { AppError, editApp, readAppFields, registerApp } from './apps.ts';
import { developerPage } from './developer-page.ts';
import { FaultError } from './faults.ts';
import { refuseOutsider } from './guard.ts';
import { type HttpReply, type HttpRequest, redirectReply } from './http.ts';
import { KnobError } from './knobs.ts';
import type { Mount } from './mount.ts';
import { refusalPage } from './pages.ts';
import { burstSize } from './webhooks.ts';

/** Thrown for a form that cannot be carried out; the page shows the message. */
class FormError extends Error {}

/** Carries out a form; resolves to the part of the page to come back to. */
type Action = (mount: Mount, form: Map<string, string>) => string | Promise<string>;

const ACTIONS: Record<string, Action> = {
  'register-app': (mount, form) => {
    registerApp(mount, { name: '', redirectUri: '', ...readAppFields(mount, Object.fromEntries(form)) });
    return 'apps';
  },
  'edit-app': (mount, form) => {
    const { client_id: clientId = '', ...fields } = Object.fromEntries(form);
    editApp(mount, known(mount.state.apps.get(clientId), 'application'), readAppFields(mount, fields));
    return 'apps';
  },
  'add-account': (mount, form) => {
    mount.addAccount({
      name: text(form, 'name'),
      ready: form.get('ready') === 'true',
      users: [{ fullName: text(form, 'full_name'), email: text(form, 'email') }],
    });
    return 'accounts';
  },
  'add-user': (mount, form) => {
    const account = known(mount.state.accounts.get(text(form, 'account_id')), 'account');
    mount.addUser({ accountId: account.id, fullName: text(form, 'full_name'), email: text(form, 'email') });
    return 'accounts';
  },
  'make-ready': async (mount, form) => {
    await mount.makeReady(known(mount.state.accounts.get(text(form, 'account_id')), 'account'));
    return 'accounts';
  },
  'revoke-grant': async (mount, form) => {
    const grant = known(mount.state.grants.get(text(form, 'grant_id')), 'grant');
    const refusal = mount.refuseCustomerRevoke(grant);
    if (refusal !== undefined) throw new FormError(refusal);
    await mount.revokeGrant(grant, 'customer');
    return 'grants';
  },
  play: async (mount, form) => {
    const account = known(mount.state.accounts.get(text(form, 'account_id')), 'account');
    const done = await mount.play(account, { name: text(form, 'name'), id: text(form, 'id') });
    if (!done) throw new FormError('This cannot happen any more.');
    return 'plays';
  },
  'send-events': (mount, form) => {
    const account = known(mount.state.accounts.get(text(form, 'account_id')), 'account');
    mount.burst(account, { type: text(form, 'type') }, burstSize(Number(text(form, 'count'))));
    return 'webhooks';
  },
  'resend-webhook': async (mount, form) => {
    const webhook = mount.state.webhooks.find(({ id }) => id === text(form, 'id'));
    await mount.webhooks.resend(known(webhook, 'webhook'));
    return 'webhooks';
  },
  'set-fault': (mount, form) => {
    mount.faults.set(Object.fromEntries(form));
    return 'faults';
  },
  'clear-faults': (mount) => {
    mount.faults.clear();
    return 'faults';
  },
  'set-knobs': (mount, form) => {
    mount.knobs.set(Object.fromEntries([...form].map(([name, value]) => [name, mount.knobs.readText(name, value)])));
    mount.changed();
    return 'knobs';
  },
  reset: (mount) => {
    mount.reset();
    return 'apps';
  },
};

/** Answers `/developer` and its forms; undefined for other paths. */
export async function answerDeveloper(mount: Mount, request: HttpRequest): Promise<HttpReply | undefined> {
  const [, first, name, ...rest] = request.path.split('/');
  if (first !== 'developer') return undefined;
  const refusal = refuseOutsider(request);
  if (refusal !== undefined) return refusalPage(mount, 403, refusal);
  if (name === undefined && request.method === 'GET') return developerPage(mount, 200);

  const action = name !== undefined && Object.hasOwn(ACTIONS, name) && rest.length === 0 ? ACTIONS[name] : undefined;
  if (action === undefined || request.method !== 'POST') return refusalPage(mount, 404, 'There is no such page.');
  try {
    const part = await action(mount, new Map(new URLSearchParams(request.rawBody)));
    return redirectReply(303, `${mount.basePath}/developer#${part}`);
  } catch (error) {
    const wrongInput = [FormError, AppError, FaultError, KnobError].some((kind) => error instanceof kind);
    if (!wrongInput) throw error;
    return developerPage(mount, 400, (error as Error).message);
  }
}

function known<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new FormError(`There is no such ${what}.`);
  return found;
}

function text(form: Map<string, string>, name: string): string {
  const value = form.get(name)?.trim() ?? '';
  if (value === '') throw new FormError(`Fill in "${name}".`);
  return value;
}
