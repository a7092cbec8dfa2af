/**
 * @module emulators/engine/developer-page
 *
 * The page where a developer registers applications, looks at accounts and grants, and breaks things on purpose.
 */
import { playsPart, webhooksPart } from './developer-webhooks.ts';
import { FAULT_ENDPOINTS, FAULT_NAMES, FAULT_TEXTS, RATE_LIMIT_DIALECTS } from './faults.ts';
import { html, type Html, page, prose } from './html.ts';
import type { HttpReply } from './http.ts';
import type { KnobSpec } from './knobs.ts';
import type { Mount } from './mount.ts';
import { field, select, table } from './pages.ts';
import type { Account, App } from './types.ts';

/** Requests shown; the API has more. */
const REQUESTS_SHOWN = 25;

export function developerPage(mount: Mount, status: number, problem?: string): HttpReply {
  const { displayName } = mount.definition;
  const body = html`<h1>${displayName} emulator for developers</h1>
    <p class="soft">Address: <code>${mount.baseUrl}</code></p>
    ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
    <nav>
      <a href="#apps">Applications</a> <a href="#accounts">Accounts</a> <a href="#grants">Grants</a>
      ${mount.definition.rest.plays !== undefined && html`<a href="#plays">What happens next</a>`}
      <a href="#webhooks">Webhooks</a> <a href="#faults">Faults</a> <a href="#knobs">Knobs</a>
      <a href="#requests">Requests</a>
      <a href="#assumptions">Assumptions</a>
    </nav>
    ${[apps, accounts, grants, playsPart, webhooksPart, faults, knobs, requests, assumptions].map((part) => part(mount))}`;
  return page(status, { title: `${displayName} emulator`, displayName, basePath: mount.basePath, body, width: 'wide' });
}

function apps(mount: Mount): Html {
  const all = [...mount.state.apps.values()];
  return html`<section id="apps">
    <h2>Partner applications</h2>
    ${all.length === 0 && html`<p class="soft">None yet. Register one; it gets a client id and secrets.</p>`}
    ${all.map((app) => oneApp(mount, app))}
    <details ${all.length === 0 && html`open`}>
      <summary>Register an application</summary>
      ${appForm(mount, 'register-app', undefined)}
    </details>
  </section>`;
}

function oneApp(mount: Mount, app: App): Html {
  return html`<h3>${app.name}</h3>
    <dl class="pairs">
      <dt>Client id</dt>
      <dd><code>${app.clientId}</code></dd>
      <dt>Live secret</dt>
      <dd><code>${app.liveSecret}</code></dd>
      <dt>Test secret</dt>
      <dd><code>${app.testSecret}</code></dd>
      <dt>Redirect</dt>
      <dd><code>${app.redirectUri}</code></dd>
      ${
        mount.definition.webhooks !== undefined &&
        html`<dt>Webhook key</dt>
          <dd>
            <code>${mount.definition.webhooks.appKey(app, undefined, (name) => mount.knobs.get(name)) ?? ''}</code>
          </dd>
          <dt>Webhooks to</dt>
          <dd><code>${app.webhookUrl === '' ? 'nowhere' : app.webhookUrl}</code></dd>`
      }
      <dt>Authorize page</dt>
      <dd>
        ${mount.definition.authorize.paths.map(
          ({ pattern }) => html`<code>${mount.baseUrl}${pattern.replace(':client_id', app.clientId)}</code><br />`,
        )}
      </dd>
    </dl>
    <details>
      <summary>Edit</summary>
      ${appForm(mount, 'edit-app', app)}
    </details>`;
}

function appForm(mount: Mount, action: string, app: App | undefined): Html {
  return html`<form method="post" action="${mount.basePath}/developer/${action}">
    ${app !== undefined && html`<input type="hidden" name="client_id" value="${app.clientId}" />`}
    <div class="fields">
      ${field('Name', 'name', 'text', app?.name, { required: true })}
      ${field(`Redirect address (${mount.definition.redirectField})`, mount.definition.redirectField, 'url', app?.redirectUri, { required: true })}
      ${field('Description', 'description', 'text', app?.description)}
      ${field('Address of the application', 'url', 'url', app?.url)}
      ${field('Webhook address (webhook_url)', 'webhook_url', 'url', app?.webhookUrl)}
      ${field('Logo (logo_url)', 'logo_url', 'url', app?.logoUrl)}
    </div>
    <button class="main">${app === undefined ? 'Register' : 'Save'}</button>
  </form>`;
}

function accounts(mount: Mount): Html {
  const { readiness } = mount.definition;
  return html`<section id="accounts">
    <h2>Accounts and their users</h2>
    ${[...mount.state.accounts.values()].map(
      (account) =>
        html`<h3>${account.name}</h3>
          <dl class="pairs">
            <dt>Account id</dt>
            <dd><code>${account.id}</code></dd>
            <dt>Own API key</dt>
            <dd>${keyText(mount, account)}</dd>
            <dt>State</dt>
            <dd>
              ${
                account.ready
                  ? html`<span class="good">${readiness.label}</span>`
                  : html`<span class="bad">not ${readiness.label}</span>
                      ${button(mount, 'make-ready', 'account_id', account.id, readiness.button ?? `Make it ${readiness.label}`)}`
              }
            </dd>
            ${mount.state.usersOf(account.id).map(
              (user) =>
                html`<dt>${user.fullName}</dt>
                  <dd><code>${user.email}</code> password <code>${user.password}</code></dd>`,
            )}
          </dl>
          <details>
            <summary>Add a user</summary>
            <form method="post" action="${mount.basePath}/developer/add-user">
              <input type="hidden" name="account_id" value="${account.id}" />
              <div class="fields">
                ${field('Name', 'full_name', 'text', '', { required: true })}
                ${field('Email', 'email', 'email', '', { required: true })}
              </div>
              <button class="main">Add</button>
            </form>
          </details>`,
    )}
    <details>
      <summary>Add an account</summary>
      <form method="post" action="${mount.basePath}/developer/add-account">
        <div class="fields">
          ${field('Company', 'name', 'text', '', { required: true })}
          ${field('First user', 'full_name', 'text', '', { required: true })}
          ${field('Email', 'email', 'email', '', { required: true })}
          ${select(
            'State',
            'ready',
            [
              ['true', readiness.label],
              ['false', `not ${readiness.label}`],
            ],
            'true',
          )}
        </div>
        <button class="main">Add</button>
      </form>
    </details>
  </section>`;
}

function keyText(mount: Mount, account: Account): Html {
  const form = mount.definition.form?.(account);
  if (form !== undefined) {
    return html`${Object.entries(form).map(([name, value]) => html`${name} <code>${value}</code><br />`)}`;
  }
  const { publishableKey, secretKey } = account.apiKey ?? { publishableKey: '', secretKey: '' };
  return html`<code>${publishableKey}</code> secret <code>${secretKey}</code>`;
}

function grants(mount: Mount): Html {
  const all = [...mount.state.grants.values()].toReversed();
  const rows = all.map(
    (grant) =>
      html`<tr>
        <td>${mount.state.apps.get(grant.clientId)?.name}</td>
        <td>
          ${mount.state.accounts.get(grant.accountId)?.name}<br /><small
            >${mount.state.users.get(grant.userId)?.fullName}</small
          >
        </td>
        <td>${grant.scope === '' ? 'all' : grant.scope}, ${grant.mode}</td>
        <td class="${grant.state === 'active' ? 'good' : 'bad'}">${grant.state}</td>
        <td>${grant.createdAt}</td>
        <td>
          ${grant.state !== 'revoked' && button(mount, 'revoke-grant', 'grant_id', grant.id, 'Disconnect this app')}
        </td>
      </tr>`,
  );
  return html`<section id="grants">
    <h2>Grants</h2>
    <p class="soft">
      “Disconnect” is what the customer does in their own account: the token stops working and the app is told.
    </p>
    ${rows.length === 0 ? html`<p class="soft">Nobody has connected yet.</p>` : table(['App', 'Account', 'Scope', 'State', 'Since', ''], rows)}
  </section>`;
}

function faults(mount: Mount): Html {
  const active = mount.faults.list();
  const rows = active.map(
    (fault) =>
      html`<tr>
        <td>${fault.name}</td>
        <td>${fault.on}${fault.path !== undefined && html` <code>${fault.path}</code>`}</td>
        <td>${fault.left === 0 ? 'until cleared' : fault.left}</td>
      </tr>`,
  );
  return html`<section id="faults">
    <h2>Faults</h2>
    ${rows.length === 0 ? html`<p class="soft">Everything works.</p>` : table(['Fault', 'Where', 'Calls left'], rows)}
    ${rows.length > 0 && button(mount, 'clear-faults', 'all', 'true', 'Clear all')}
    <form method="post" action="${mount.basePath}/developer/set-fault">
      <div class="fields">
        ${select(
          'What goes wrong',
          'name',
          FAULT_NAMES.map((name) => [name, name]),
          'slow',
        )}
        ${select(
          'Where',
          'on',
          FAULT_ENDPOINTS.map((name) => [name, name]),
          'token',
        )}
        ${field('How many calls (0: until cleared)', 'times', 'number', '1')}
        ${field('Wait in milliseconds', 'delayMs', 'number')} ${field('Only paths that start with', 'path', 'text')}
        ${select('Dialect of a 429', 'dialect', [['', 'the provider’s own'], ...RATE_LIMIT_DIALECTS.map((name): [string, string] => [name, name])], '')}
      </div>
      <button class="main">Set the fault</button>
    </form>
    <details>
      <summary>What each fault does</summary>
      <ul>
        ${FAULT_NAMES.map((name) => html`<li><code>${name}</code> ${FAULT_TEXTS[name]}</li>`)}
      </ul>
    </details>
  </section>`;
}

function knobs(mount: Mount): Html {
  return html`<section id="knobs">
    <h2>Knobs</h2>
    <p class="soft">How the emulator behaves where the provider’s documents are silent.</p>
    <form method="post" action="${mount.basePath}/developer/set-knobs">
      <div class="fields">${mount.knobs.specs.map((spec) => knobField(mount, spec))}</div>
      <button class="main">Save</button>
    </form>
    <hr />
    ${button(mount, 'reset', 'all', 'true', 'Reset: forget everything but the applications')}
  </section>`;
}

function knobField(mount: Mount, spec: KnobSpec): Html {
  const value = mount.knobs.get(spec.name) ?? null;
  const label = html`<code>${spec.name}</code><br /><small>${prose(spec.about)}</small>`;
  if (spec.kind === 'boolean')
    return select(
      label,
      spec.name,
      [
        ['true', 'yes'],
        ['false', 'no'],
      ],
      String(value),
    );
  if (spec.kind === 'enum')
    return select(
      label,
      spec.name,
      (spec.options ?? []).map((each) => [each, each]),
      String(value),
    );
  const text =
    Array.isArray(value) && spec.kind === 'choices'
      ? value.join(' ')
      : spec.kind === 'json'
        ? value === null
          ? ''
          : JSON.stringify(value)
        : String(value ?? '');
  return html`<label><span>${label}</span><input name="${spec.name}" value="${text}" /></label>`;
}

function requests(mount: Mount): Html {
  const rows = mount.recorder
    .list()
    .slice(-REQUESTS_SHOWN)
    .toReversed()
    .map(
      (request) =>
        html`<tr>
          <td>${request.at}</td>
          <td>${request.method}</td>
          <td><code>${request.path}</code></td>
          <td>${request.queryNames.join(' ')}</td>
          <td>${request.status === 0 ? 'cut' : request.status}</td>
        </tr>`,
    );
  return html`<section id="requests">
    <h2>Last requests</h2>
    ${rows.length === 0 ? html`<p class="soft">None yet.</p>` : table(['At', 'Method', 'Path', 'Query', 'Status'], rows)}
  </section>`;
}

function assumptions(mount: Mount): Html {
  return html`<section id="assumptions">
    <h2>What this emulator assumes</h2>
    <ul>
      ${mount.definition.assumptions.map(({ topic, text }) => html`<li><small>${topic}</small> ${prose(text)}</li>`)}
    </ul>
  </section>`;
}

function button(mount: Mount, action: string, name: string, value: string, label: string): Html {
  return html`<form method="post" action="${mount.basePath}/developer/${action}">
    <button class="small" name="${name}" value="${value}">${label}</button>
  </form>`;
}
