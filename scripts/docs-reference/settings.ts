import { SETTINGS } from '../../src/config.ts';

const KINDS: Record<string, string> = {
  text: 'text',
  port: 'port, 0 to 65535',
  count: 'whole number',
  list: 'list, by spaces or commas',
  url: 'http(s) URL',
  path: 'path',
  flag: 'true or false',
};

/** `docs/reference/settings.md`, from the table in `src/config.ts`. */
export function settingsPage(): string {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const secret = 'secret' in setting && setting.secret ? ' Secret.' : '';
    return `| \`${name}\` | ${KINDS[setting.kind]} | ${defaultOf(setting.default)} | ${cell(setting.about)}${secret} |`;
  });
  return `# Settings

Written by \`npm run docs\` from \`src/config.ts\`.

Every setting is an environment variable. There is no settings file. A value that does not fit stops the start with a
sentence that names it.

| Name | Kind | Default | What it is for |
|---|---|---|---|
${rows.join('\n')}
`;
}

function defaultOf(value: string | undefined): string {
  if (value === undefined) return 'none';
  if (value === '') return 'empty';
  // A sentence about the default, or the value itself.
  return /[ ,]/.test(value) && !/^https?:/.test(value) ? cell(value) : `\`${cell(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
