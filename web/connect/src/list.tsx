import { useState } from 'preact/hooks';
import type { Integration } from './api.ts';
import { Badge, Logo, Title, useShared } from './view.tsx';

/** With more entries than this a search field helps. */
const SEARCH_FROM = 8;

/** The integrations to choose from. */
export function List({ integrations, choose }: { integrations: Integration[]; choose(one: Integration): void }) {
  const { t } = useShared();
  const [search, setSearch] = useState('');
  const wanted = search.trim().toLowerCase();
  const found = integrations.filter((one) => one.display_name.toLowerCase().includes(wanted));
  if (integrations.length === 0) return <p class="quiet">{t('empty')}</p>;
  return (
    <>
      <Title>{t('choose')}</Title>
      {integrations.length >= SEARCH_FROM && (
        <input
          type="search"
          aria-label={t('search')}
          placeholder={t('search')}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
      )}
      <ul class="list">
        {found.map((one) => (
          <li key={one.unique_key}>
            <button type="button" class="row" onClick={() => choose(one)}>
              <Logo integration={one} small />
              <span class="grow">{one.display_name}</span>
              <Badge integration={one} />
              <span class="arrow" aria-hidden="true" />
            </button>
          </li>
        ))}
      </ul>
      <p class="quiet" role="status">
        {found.length === 0 ? t('nothingFound') : ''}
      </p>
    </>
  );
}
