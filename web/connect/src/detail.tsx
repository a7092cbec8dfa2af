import { useRef, useState } from 'preact/hooks';
import {
  ConnectError,
  isFormMode,
  sendCredentials,
  type Connected,
  type Field,
  type Integration,
  type Session,
} from './api.ts';
import { failureOf } from './failures.ts';
import { FieldInput, useCredentialFields } from './form.tsx';
import { tell } from './parent.ts';
import { openPopup, startUrl, type PopupAttempt } from './popup.ts';
import type { TextName } from './texts.ts';
import { Alert, Badge, Logo, Title, useShared } from './view.tsx';

/** Scopes with a common meaning, in plain words. Others are shown as the provider writes them. */
const SCOPE_WORDS: Record<string, TextName> = {
  read: 'scopeRead',
  write: 'scopeWrite',
  read_write: 'scopeReadWrite',
  openid: 'scopeProfile',
  profile: 'scopeProfile',
  email: 'scopeProfile',
  offline_access: 'scopeOffline',
};

interface DetailProps {
  integration: Integration;
  session: Session;
  token: string;
  /** A failure brought back by the redirect flow. */
  earlier: ConnectError | undefined;
  back: (() => void) | undefined;
  done(connected: Connected): void;
}

/** One integration: who asks, what for, the form, and the button. */
export function Detail({ integration, session, token, earlier, back, done }: DetailProps) {
  const { t, language, framed, close } = useShared();
  const service = integration.display_name;
  const mode = integration.auth_mode;
  const oauth = !isFormMode(mode);
  const credentialFields = useCredentialFields(integration);
  const fields = [...credentialFields, ...integration.connection_config];
  const [values, setValues] = useState<Record<string, string>>(() =>
    Object.fromEntries(fields.map((field) => [field.name, field.default ?? firstOption(field)])),
  );
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState<'no' | 'checking' | 'window' | 'gone'>('no');
  const [error, setError] = useState(earlier);
  const attempt = useRef<PopupAttempt>(undefined);
  // A server may take an empty user name or an empty password, never both.
  const nothing = credentialFields.every(({ name }) => values[name]?.trim() === '');
  const isMissing = (field: Field): boolean =>
    values[field.name]?.trim() === '' && (!field.optional || (nothing && field === credentialFields[0]));
  const failure = error && failureOf(error);

  const pick = (names: { name: string }[]): Record<string, string> =>
    Object.fromEntries(names.map(({ name }) => [name, values[name]?.trim() ?? '']));
  const params = pick(integration.connection_config);

  async function run(work: () => Promise<Connected>): Promise<void> {
    setError(undefined);
    try {
      done(await work());
    } catch (thrown) {
      const failed = thrown instanceof ConnectError ? thrown : new ConnectError('unknown_err', '');
      setBusy('no');
      setError(failed);
      tell({ type: 'error', payload: { errorType: failed.type, errorMessage: failed.message } });
    }
  }

  function popup(): Promise<Connected> {
    attempt.current?.cancel();
    const opened = openPopup(token, integration, params, {
      socketPath: session.websocketsPath ?? '/',
      onClosed: () => setBusy((now) => (now === 'window' ? 'gone' : now)),
    });
    attempt.current = opened;
    setBusy('window');
    return opened.result;
  }

  function submit(event: Event): void {
    event.preventDefault();
    setTried(true);
    const empty = fields.find((field) => isMissing(field));
    if (empty !== undefined) {
      document.getElementById(`field-${empty.name}`)?.focus();
      return;
    }
    if (isFormMode(mode)) {
      setBusy('checking');
      const typed = { ...integration, auth_mode: mode };
      void run(() => sendCredentials(token, typed, pick(credentialFields), params));
    } else if (framed) {
      void run(async () => popup());
    } else {
      // Stand-alone there is no app to keep open: the whole tab goes, and comes back with the result.
      location.assign(startUrl(token, integration, params, { return_to: `${location.origin}/connect-ui/` }));
    }
  }

  function cancel(): void {
    attempt.current?.cancel();
    setBusy('no');
  }

  const waiting = busy === 'window' || busy === 'gone';
  const tabUrl = startUrl(token, integration, params, { return_to: `${location.origin}/connect-ui/` });
  return (
    <form onSubmit={submit} noValidate>
      {back && !waiting && (
        <button type="button" class="plain back" onClick={back}>
          <span class="arrow back" aria-hidden="true" />
          {t('back')}
        </button>
      )}
      <div class="head">
        <Logo integration={integration} />
        <div>
          <Title>{t(session.isReconnecting ? 'reconnectTitle' : 'connectTitle', { service })}</Title>
          <Badge integration={integration} />
        </div>
      </div>
      <p>{t(session.isReconnecting ? 'reconnectWhy' : 'asks', { service })}</p>
      {integration.connected_since !== null && !session.isReconnecting && (
        <p class="note">
          {t('already', { service, date: new Date(integration.connected_since).toLocaleDateString(language) })}
        </p>
      )}
      <div class="about">
        <h2>{t('lets')}</h2>
        <ul>
          <li>{integration.summary}</li>
          {scopeLines(integration.scopes).map((line) => (
            <li key={line.text}>{line.known ? t(line.text as TextName) : <code>{line.text}</code>}</li>
          ))}
        </ul>
        <p class="quiet">{integration.disconnect_hint ?? t('leave')}</p>
      </div>
      {!waiting &&
        fields.map((field) => (
          <FieldInput
            key={field.name}
            field={field}
            value={values[field.name] ?? ''}
            missing={tried && isMissing(field)}
            onChange={(value) => setValues({ ...values, [field.name]: value })}
          />
        ))}
      {integration.docs !== null && fields.length > 0 && (
        <p>
          <a href={integration.docs} target="_blank" rel="noreferrer noopener">
            {t('docs')}
          </a>
        </p>
      )}
      {error && (
        <Alert error={error} integration={integration}>
          {failure?.next === 'tab' && (
            <p>
              <a href={tabUrl} target="_blank" rel="opener">
                {t('openTab')}
              </a>
            </p>
          )}
        </Alert>
      )}
      <p role="status" class="status">
        {busy === 'checking' && t('checking', { service })}
        {busy === 'window' && t('inWindow')}
        {busy === 'gone' && t('windowGone')}
      </p>
      <div class="actions">
        {failure?.next === 'close' ? (
          <button type="button" class="primary" onClick={close} hidden={!framed}>
            {t('close')}
          </button>
        ) : (
          <button type="submit" class="primary" disabled={busy === 'checking' || busy === 'window'}>
            {busy === 'checking' && <span class="spinner" aria-hidden="true" />}
            {error || busy === 'gone' ? t('again') : oauth ? t('continueTo', { service }) : t('connect')}
          </button>
        )}
        {waiting && (
          <button type="button" onClick={cancel}>
            {t('cancel')}
          </button>
        )}
      </div>
    </form>
  );
}

function firstOption(field: { kind: string; optional: boolean; options?: string[] }): string {
  return field.kind === 'enum' && !field.optional ? (field.options?.[0] ?? '') : '';
}

/** Each meaning once. */
function scopeLines(scopes: string[]): { text: string; known: boolean }[] {
  const lines = new Map<string, boolean>();
  for (const scope of scopes) lines.set(SCOPE_WORDS[scope] ?? scope, scope in SCOPE_WORDS);
  return [...lines].map(([text, known]) => ({ text, known }));
}
