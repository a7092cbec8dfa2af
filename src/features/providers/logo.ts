import type { ProviderSpec } from './model.ts';

/** Hues that give white text a contrast above 4.5 at the lightness used. */
const HUES = [205, 225, 255, 280, 320, 345, 15, 160];

/**
 * A neutral mark: the provider's initials on a coloured tile. Made here, so that no trademark is shipped. Same name,
 * same picture.
 */
export function initialsSvg(spec: Pick<ProviderSpec, 'name' | 'displayName'>): string {
  const hue = HUES[[...spec.name].reduce((sum, char) => sum + char.charCodeAt(0), 0) % HUES.length] ?? 205;
  const title = escapeXml(spec.displayName);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64" role="img" aria-label="${title}">` +
    `<title>${title}</title><rect width="64" height="64" rx="14" fill="hsl(${hue} 55% 34%)"/>` +
    `<text x="32" y="32" dy=".35em" text-anchor="middle" font-family="system-ui, sans-serif" font-size="26" ` +
    `font-weight="600" fill="#fff">${escapeXml(initialsOf(spec.displayName))}</text></svg>`
  );
}

/** First letters of the first and the last word: `Acme Pay (sandbox)` → `AS`. */
function initialsOf(displayName: string): string {
  const words = displayName.match(/[\p{L}\p{N}]+/gu) ?? ['?'];
  const letters =
    words.length === 1 ? [...(words[0] ?? '?')].slice(0, 1) : [words[0]?.[0] ?? '', words.at(-1)?.[0] ?? ''];
  return letters.join('').toUpperCase();
}

function escapeXml(text: string): string {
  return text.replaceAll(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
