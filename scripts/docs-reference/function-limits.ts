import { ALLOWED_MODULES } from '../../src/platform/sandbox/child/modules.ts';
import { SANDBOX_LIMITS } from '../../src/platform/sandbox/limits.ts';

const UNITS: [ending: RegExp, shown: (value: number) => string][] = [
  [/Ms$/, (value) => (value >= 60_000 ? `${value / 60_000} min` : `${value / 1_000} s`)],
  [/Megabytes$/, (value) => `${value} MB`],
  [/Seconds(Alone)?$/, (value) => `${value} s`],
  [/Bytes(Max)?$/, (value) => (value % 1024 === 0 ? bytesOf(value) : `${value / 1_000_000} MB`)],
  [/Share$/, (value) => `${value * 100} %`],
];

function bytesOf(value: number): string {
  return value >= 1024 * 1024 ? `${value / (1024 * 1024)} MiB` : `${value / 1024} KiB`;
}

/** `docs/reference/function-limits.md`, from the constants of the sandbox. */
export function functionLimitsPage(): string {
  const rows = Object.entries(SANDBOX_LIMITS).map(([name, { value, why }]) => {
    const shown = UNITS.find(([ending]) => ending.test(name))?.[1](value) ?? value.toLocaleString('en');
    return `| \`${name}\` | ${shown} | ${why} |`;
  });
  return `# Limits of functions

Written by \`npm run docs\` from \`src/platform/sandbox/limits.ts\`.

| Name | Value | What it is for |
|---|---|---|
${rows.join('\n')}

\`require\` and \`import\` know, beside your own files: ${ALLOWED_MODULES.map((name) => `\`${name}\``).join(', ')}; Node's own also
with \`node:\` before them.
`;
}
