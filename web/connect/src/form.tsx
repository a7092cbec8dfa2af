import { useState } from 'preact/hooks';
import type { Field, Integration } from './api.ts';
import type { TextName } from './texts.ts';
import { useShared } from './view.tsx';

/** Fields of a mode when the provider's file names none. */
const STANDARD: Record<string, { name: string; title: TextName; secret: boolean; optional: boolean }[]> = {
  API_KEY: [{ name: 'apiKey', title: 'apiKey', secret: true, optional: false }],
  BASIC: [
    { name: 'username', title: 'username', secret: false, optional: false },
    { name: 'password', title: 'password', secret: true, optional: true },
  ],
};

const AUTOCOMPLETE: Record<string, string> = { username: 'username', password: 'current-password' };

const MASKED = { type: 'password' } as const;
const PLAIN = { type: 'text' } as const;

/** The credential fields of an integration. */
export function useCredentialFields(integration: Integration): Field[] {
  const { t } = useShared();
  const standard = STANDARD[integration.auth_mode];
  if (standard === undefined) return integration.credentials;
  return standard.map(({ title, ...field }) => {
    const own = integration.credentials.find((one) => one.name === field.name);
    return { description: '', kind: 'text', ...field, title: t(title), ...own, secret: own?.secret || field.secret };
  });
}

/** One labelled input; a secret is masked until the person wants to see it. */
export function FieldInput(props: { field: Field; value: string; missing: boolean; onChange(value: string): void }) {
  const { t } = useShared();
  const { field, value, missing } = props;
  const [shown, setShown] = useState(false);
  const id = `field-${field.name}`;
  const common = {
    id,
    name: field.name,
    value,
    required: !field.optional,
    'aria-invalid': missing,
    'aria-describedby': `${id}-help`,
  };
  return (
    <div class="field">
      <label for={id}>
        {field.title}
        {field.optional && <span class="quiet"> ({t('optional')})</span>}
      </label>
      <div class="inputs">
        {field.kind === 'enum' ? (
          <select {...common} onChange={(event) => props.onChange(event.currentTarget.value)}>
            {field.optional && <option value="" />}
            {field.options?.map((option) => (
              <option key={option} value={option}>
                {option}
              </option>
            ))}
          </select>
        ) : (
          <input
            {...common}
            {...(field.secret && !shown ? MASKED : PLAIN)}
            autocomplete={AUTOCOMPLETE[field.name] ?? (field.secret ? 'new-password' : 'off')}
            autocapitalize="off"
            spellcheck={false}
            placeholder={field.example ?? ''}
            onInput={(event) => props.onChange(event.currentTarget.value)}
          />
        )}
        {field.secret && (
          <button type="button" class="plain" aria-controls={id} aria-pressed={shown} onClick={() => setShown(!shown)}>
            {t(shown ? 'hide' : 'show')}
          </button>
        )}
      </div>
      <p id={`${id}-help`} class={missing ? 'wrong' : 'quiet'}>
        {missing ? t('required') : withCode(field.description)}
      </p>
    </div>
  );
}

/** Text between backticks is code, as everywhere in the catalogue. */
function withCode(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}
