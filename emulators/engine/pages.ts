/**
 * @module emulators/engine/pages
 *
 * What the customer sees at the fake provider: sign-in, sign-up, consent, and the page that refuses a request.
 */
import type { Ask } from './authorize.ts';
import { html, type Html, page, prose } from './html.ts';
import type { HttpReply } from './http.ts';
import type { Mount } from './mount.ts';
import type { Session } from './sessions.ts';
import type { User } from './types.ts';

type Headers = Record<string, string>;

export function signInPage(
  mount: Mount,
  ask: Ask,
  session: Session,
  headers: Headers,
  problem?: string,
  email = '',
): HttpReply {
  const { displayName } = mount.definition;
  const people = [...mount.state.users.values()];
  const body = html`<div class="card">
    <p class="kicker">${ask.app.name} sent you here</p>
    <h1>Sign in to ${displayName} (emulated)</h1>
    ${problemNote(problem)}
    <form method="post" class="people">
      ${csrfField(session)}
      ${people.map((user) => {
        const account = mount.state.accounts.get(user.accountId);
        return html`<button name="user" value="${user.id}">
          Sign in as ${user.fullName}<small
            >${account?.name}${account?.ready === false && html`, not ${mount.definition.readiness.label}`}</small
          >
        </button>`;
      })}
    </form>
    <details ${problem !== undefined && html`open`}>
      <summary>Use an email and password instead</summary>
      <form method="post">
        ${csrfField(session)} ${field('Email', 'email', 'email', email, { autocomplete: 'username', required: true })}
        ${field('Password', 'password', 'password', '', { autocomplete: 'current-password', required: true })}
        <button class="main">Sign in</button>
      </form>
      <h3>Made-up passwords of this emulator</h3>
      <dl class="pairs">
        ${people.map(
          (user) =>
            html`<dt>${user.email}</dt>
              <dd><code>${user.password}</code></dd>`,
        )}
      </dl>
    </details>
  </div>`;
  return page(problem === undefined ? 200 : 401, parts(mount, `Sign in – ${displayName} emulator`, body), headers);
}

export function signUpPage(
  mount: Mount,
  ask: Ask,
  session: Session,
  headers: Headers,
  problem?: string,
  typed: { company: string; fullName: string; email: string } = { company: '', fullName: '', email: '' },
): HttpReply {
  const { displayName } = mount.definition;
  const body = html`<div class="card">
    <p class="kicker">${ask.app.name} sent you here</p>
    <h1>Sign up for ${displayName} (emulated)</h1>
    ${problemNote(problem)}
    <form method="post">
      ${csrfField(session)}
      ${field('Company', 'company', 'text', typed.company, { autocomplete: 'organization', required: true })}
      ${field('Your name', 'full_name', 'text', typed.fullName, { autocomplete: 'name', required: true })}
      ${field('Email', 'email', 'email', typed.email, { autocomplete: 'username', required: true })}
      ${field('Password', 'password', 'password', '', { autocomplete: 'new-password', required: true })}
      <button class="main">Create the account</button>
    </form>
    <hr />
    <p class="soft">Already have an account?</p>
    <form method="post" class="people">
      ${csrfField(session)}
      ${[...mount.state.users.values()].map(
        (user) =>
          html`<button name="user" value="${user.id}">
            Sign in as ${user.fullName}<small>${mount.state.accounts.get(user.accountId)?.name}</small>
          </button>`,
      )}
    </form>
  </div>`;
  return page(problem === undefined ? 200 : 400, parts(mount, `Sign up – ${displayName} emulator`, body), headers);
}

export function consentPage(mount: Mount, ask: Ask, session: Session, user: User): HttpReply {
  const { displayName, authorize, readiness, assumptions } = mount.definition;
  const account = mount.state.accounts.get(user.accountId);
  const rights = authorize.scopes?.[ask.scope] ?? authorize.plainScope ?? [];
  const body = html`<div class="card">
    <p class="kicker">${displayName} (emulated)</p>
    <h1>${ask.app.name} wants to connect to ${account?.name}</h1>
    ${ask.app.description !== '' && html`<p class="soft">${ask.app.description}</p>`}
    <p>If you allow it, ${ask.app.name} may:</p>
    <ul>
      ${rights.map((right) => html`<li>${right}</li>`)}
    </ul>
    ${ask.scope !== '' && html`<p class="soft">Scope: <code>${ask.scope}</code></p>`}
    ${account?.ready === false && html`<p class="note">${account.name} is not ${readiness.label} yet: ${readiness.notReady}</p>`}
    <form method="post">
      ${csrfField(session)}
      <div class="choices">
        <button name="decision" value="deny">Deny</button>
        <button name="decision" value="allow" class="main">Allow</button>
      </div>
    </form>
    <form method="post">
      ${csrfField(session)}
      <p class="soft">
        Signed in as ${user.fullName} (${user.email}).
        <button class="link" name="action" value="sign-out">Use another account</button>
      </p>
    </form>
    <p class="soft">You will be sent back to <code>${new URL(ask.redirectUri).origin}</code>.</p>
    <details>
      <summary>What this emulator assumes (${assumptions.length})</summary>
      <p class="soft">The provider’s public documents do not say this; the emulator had to choose.</p>
      <ul>
        ${assumptions.map((assumption) => html`<li>${prose(assumption.text)}</li>`)}
      </ul>
    </details>
  </div>`;
  return page(200, parts(mount, `Connect ${ask.app.name} – ${displayName} emulator`, body));
}

export function refusalPage(mount: Mount, status: number, message: string): HttpReply {
  const body = html`<div class="card">
    <h1>This request cannot be answered</h1>
    <p class="problem">${message}</p>
    <p class="soft">
      Nobody was redirected. The <a href="${mount.basePath}/developer">developer page</a> lists the applications.
    </p>
  </div>`;
  return page(status, parts(mount, `Error – ${mount.definition.displayName} emulator`, body));
}

function parts(mount: Mount, title: string, body: Html) {
  return { title, body, displayName: mount.definition.displayName, basePath: mount.basePath };
}

/** A labelled input. `required` is checked by the browser, and again by whoever reads the form. */
export function field(
  label: string,
  name: string,
  type: string,
  value = '',
  options: { autocomplete?: string; required?: boolean } = {},
): Html {
  const { autocomplete = 'off', required = false } = options;
  return html`<label
    ><span>${label}</span
    ><input name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}" ${required && html`required`}
  /></label>`;
}

function csrfField(session: Session): Html {
  return html`<input type="hidden" name="csrf" value="${session.csrf}" />`;
}

function problemNote(problem: string | undefined): Html | undefined {
  return problem === undefined ? undefined : html`<p class="problem" role="alert">${problem}</p>`;
}

/** A labelled choice. */
export function select(
  label: string | Html,
  name: string,
  options: [value: string, label: string][],
  chosen: string,
): Html {
  return html`<label
    ><span>${label}</span>
    <select name="${name}">
      ${options.map(([value, text]) => html`<option value="${value}" ${value === chosen && html`selected`}>${text}</option>`)}
    </select></label
  >`;
}

/** A table that scrolls by itself on a narrow screen. */
export function table(heads: string[], rows: Html[]): Html {
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th>${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
