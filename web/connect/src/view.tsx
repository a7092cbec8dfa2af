/** Small parts that every screen uses. */
import type { ComponentChildren } from 'preact';
import { createContext } from 'preact';
import { useContext, useEffect, useRef } from 'preact/hooks';
import type { ConnectError, Integration } from './api.ts';
import { failureOf } from './failures.ts';
import type { Translate } from './texts.ts';

export interface Shared {
  t: Translate;
  language: string;
  close(): void;
  framed: boolean;
}

export const SharedContext = createContext<Shared | undefined>(undefined);

export function useShared(): Shared {
  return useContext(SharedContext) as Shared;
}

/** The title of a screen; it takes the focus when the screen appears, so that it is read out. */
export function Title({ children }: { children: ComponentChildren }) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <h1 id="title" tabIndex={-1} ref={ref}>
      {children}
    </h1>
  );
}

export function Logo({ integration, small = false }: { integration: Integration; small?: boolean }) {
  const size = small ? 32 : 48;
  return <img class="logo" src={new URL(integration.logo).pathname} alt="" width={size} height={size} />;
}

export function Badge({ integration }: { integration: Integration }) {
  const { t } = useShared();
  return integration.emulated ? (
    <span class="badge" title={t('emulatedWhy', { service: integration.provider_display_name })}>
      {t('emulated')}
    </span>
  ) : null;
}

/** A failure in words, with what the developer needs folded away. */
export function Alert(props: { error: ConnectError; integration?: Integration; children?: ComponentChildren }) {
  const { t } = useShared();
  const { error } = props;
  const failure = failureOf(error);
  const own = failure.own && error.message !== '';
  const words = own ? error.message : t(failure.text, { service: props.integration?.display_name ?? '' });
  return (
    <div class="alert" role="alert">
      <p>{words}</p>
      {props.children}
      {!own && error.message !== '' && (
        <details>
          <summary>{t('details')}</summary>
          <p>{error.message}</p>
          <p>
            <code>{error.type}</code>
          </p>
        </details>
      )}
    </div>
  );
}
