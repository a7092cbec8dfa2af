/** The Connect page. Alone in a tab it works by redirect, framed by an app it works by popup. */
import { render } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ConnectError, readSession, type Connected, type Integration, type Session } from './api.ts';
import { Detail } from './detail.tsx';
import { trapFocus } from './focus.ts';
import { List } from './list.tsx';
import { isFramed, onToken, parentHost, tell } from './parent.ts';
import { chooseLanguage, translator } from './texts.ts';
import { Alert, SharedContext, Title, useShared } from './view.tsx';

/** Without a token by then the page says so. Source: wire contract C.5. */
const TOKEN_WAIT_MS = 10_000;
/** Long enough to read one line, short enough not to be in the way. */
const CLOSE_AFTER_MS = 2_500;
/** Keeps a stand-alone tab alive over the redirect and a reload. This tab only; gone with it. */
const KEPT = 'hawser.connect';

interface Start {
  token: string | undefined;
  /** What the redirect flow brought back. */
  connected: Connected | undefined;
  error: ConnectError | undefined;
  key: string | undefined;
}

/** Reads the address once and cleans it: the token must not stay in history, bookmarks or screenshots. */
function readAddress(): Start & { lang: string | null; theme: string | null } {
  const query = new URLSearchParams(location.search);
  const get = (name: string): string | undefined => query.get(name) ?? undefined;
  const [lang, theme] = [query.get('lang'), query.get('theme')];
  const kept = isFramed ? undefined : (sessionStorage.getItem(KEPT) ?? undefined);
  const token = get('session_token') ?? kept;
  const key = get('provider_config_key');
  const status = get('status');
  if (!isFramed && token !== undefined && status !== 'success') sessionStorage.setItem(KEPT, token);
  if (status === 'success') sessionStorage.removeItem(KEPT);
  const clean = new URLSearchParams();
  if (lang !== null) clean.set('lang', lang);
  if (theme !== null) clean.set('theme', theme);
  history.replaceState(null, '', `${location.pathname}${clean.size > 0 ? `?${clean}` : ''}`);
  return {
    token,
    key,
    lang,
    theme,
    connected:
      status === 'success' ? { providerConfigKey: key ?? '', connectionId: get('connection_id') ?? '' } : undefined,
    error: status === 'error' ? new ConnectError(get('error') ?? 'unknown_err', '') : undefined,
  };
}

const start = readAddress();
const language = chooseLanguage(start.lang);
document.documentElement.lang = language;
if (start.theme === 'light' || start.theme === 'dark') document.documentElement.dataset['theme'] = start.theme;
document.body.classList.add(isFramed ? 'framed' : 'standalone');

/** In a frame the card is a dialog over the app's page; alone it is the page. */
const dialog = isFramed
  ? ({ role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'title' } as const)
  : ({ role: 'main' } as const);

function close(): void {
  tell({ type: 'close' });
}

function Success({ name }: { name: string | undefined }) {
  const { t, framed } = useShared();
  useEffect(() => {
    if (!framed) return;
    const timer = setTimeout(close, CLOSE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [framed]);
  return (
    <div class="result">
      <div class="mark good" aria-hidden="true" />
      <Title>{t('connected')}</Title>
      <p role="status">
        {name !== undefined && t('connectedText', { service: name })} {!framed && t('closeTab')}
      </p>
      {framed && (
        <button type="button" class="primary" onClick={close}>
          {t('done')}
        </button>
      )}
    </div>
  );
}

function App() {
  const [token, setToken] = useState(start.token);
  const [data, setData] = useState<{ session: Session; integrations: Integration[] }>();
  const [error, setError] = useState<ConnectError>();
  const [chosen, setChosen] = useState<Integration>();
  const [connected, setConnected] = useState(start.connected);
  const card = useRef<HTMLDivElement>(null);
  const t = useMemo(() => translator(language, document.body.dataset['app'] || parentHost()), [token]);

  useEffect(() => {
    onToken((given) => {
      setError(undefined);
      setToken(given);
    });
    tell({ type: 'ready' });
    const onKey = (event: KeyboardEvent): void => {
      if (!isFramed) return;
      if (event.key === 'Escape') close();
      if (card.current) trapFocus(card.current, event);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  useEffect(() => {
    if (connected !== undefined) return;
    if (token === undefined) {
      const timer = setTimeout(() => setError(new ConnectError('no_token', '')), isFramed ? TOKEN_WAIT_MS : 0);
      return () => clearTimeout(timer);
    }
    load(token);
    return undefined;
  }, [token]);

  function load(withToken: string): void {
    setError(undefined);
    readSession(withToken).then(
      (read) => {
        setData(read);
        const only = read.integrations.length === 1 ? read.integrations[0] : undefined;
        setChosen(read.integrations.find((one) => one.unique_key === start.key) ?? only);
        return undefined;
      },
      (thrown: unknown) => {
        const failed = thrown instanceof ConnectError ? thrown : new ConnectError('unknown_err', '');
        if (!isFramed) sessionStorage.removeItem(KEPT);
        setError(failed);
        tell({ type: 'error', payload: { errorType: failed.type, errorMessage: failed.message } });
      },
    );
  }

  function finish(result: Connected): void {
    sessionForget();
    setConnected(result);
    tell({ type: 'connect', payload: result });
  }

  return (
    <SharedContext.Provider value={{ t, language, close, framed: isFramed }}>
      <div class="backdrop" onClick={(event) => event.target === event.currentTarget && isFramed && close()}>
        <div ref={card} class="card" {...dialog}>
          {isFramed && (
            <button type="button" class="plain close" aria-label={t('close')} onClick={close}>
              <span aria-hidden="true">×</span>
            </button>
          )}
          <Screen
            {...{ token, data, error, chosen, connected, setChosen, finish }}
            reload={() => token !== undefined && load(token)}
          />
        </div>
      </div>
    </SharedContext.Provider>
  );
}

function sessionForget(): void {
  if (!isFramed) sessionStorage.removeItem(KEPT);
}

interface ScreenProps {
  token: string | undefined;
  data: { session: Session; integrations: Integration[] } | undefined;
  error: ConnectError | undefined;
  chosen: Integration | undefined;
  connected: Connected | undefined;
  setChosen(one: Integration | undefined): void;
  finish(result: Connected): void;
  reload(): void;
}

function Screen({ token, data, error, chosen, connected, setChosen, finish, reload }: ScreenProps) {
  const { t } = useShared();
  if (connected !== undefined) return <Success name={chosen?.display_name} />;
  if (error !== undefined) {
    return (
      <>
        <Alert error={error} />
        {error.type === 'network' && (
          <div class="actions">
            <button type="button" class="primary" onClick={reload}>
              {t('again')}
            </button>
          </div>
        )}
      </>
    );
  }
  if (data === undefined || token === undefined) {
    return (
      <p class="loading" role="status">
        <span class="spinner" aria-hidden="true" /> {t('loading')}
      </p>
    );
  }
  if (chosen === undefined) return <List integrations={data.integrations} choose={setChosen} />;
  return (
    <Detail
      key={chosen.unique_key}
      integration={chosen}
      session={data.session}
      token={token}
      earlier={chosen.unique_key === start.key ? start.error : undefined}
      back={data.integrations.length > 1 ? () => setChosen(undefined) : undefined}
      done={finish}
    />
  );
}

render(<App />, document.getElementById('root') as HTMLElement);
