/**
 * A browser without scripts for tests: keeps cookies, finds forms in the HTML and submits them, follows nothing by
 * itself beyond the emulator.
 */
export interface Visit {
  status: number;
  url: string;
  /** Where a redirect leads that leaves the emulator. */
  location: string | undefined;
  headers: Headers;
  html: string;
}

export class PlainBrowser {
  readonly #origin: string;
  readonly #cookies = new Map<string, string>();

  /** `origin` is the emulator's; redirects to any other place are reported, not followed. */
  constructor(emulatorUrl: string) {
    this.#origin = new URL(emulatorUrl).origin;
  }

  async open(url: string, init: RequestInit = {}): Promise<Visit> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { ...(init.headers as Record<string, string>), ...(cookie === '' ? {} : { cookie }) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=');
      this.#cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const html = await response.text();
    if (location !== null) {
      const next = new URL(location, url);
      if (next.origin === this.#origin) return await this.open(next.href);
      return { status: response.status, url, location: next.href, headers: response.headers, html };
    }
    return { status: response.status, url, location: undefined, headers: response.headers, html };
  }

  /** Presses the button `name=value` (or the only submit button, with `button` undefined) of the form that has it. */
  async press(
    page: Visit,
    button: [name: string, value: string] | undefined,
    typed: Record<string, string> = {},
  ): Promise<Visit> {
    const form = formsOf(page.html).find((each) =>
      button === undefined
        ? Object.keys(typed).every((name) => each.includes(`name="${name}"`))
        : each.includes(`name="${button[0]}" value="${button[1]}"`),
    );
    if (form === undefined) throw new Error(`No form has ${JSON.stringify(button ?? typed)}.`);
    const body = new URLSearchParams(typed);
    for (const [, name = '', value = ''] of form.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)) {
      body.set(name, value);
    }
    if (button !== undefined) body.set(button[0], button[1]);
    const action = /<form[^>]* action="([^"]+)"/.exec(form)?.[1];
    return await this.open(action === undefined ? page.url : new URL(action, page.url).href, { method: 'POST', body });
  }

  /** From the authorize URL to the address the app gets the customer back at. */
  async connect(authorizeUrl: string, userId: string, decision: 'allow' | 'deny' = 'allow'): Promise<URL> {
    let page = await this.open(authorizeUrl);
    if (page.html.includes('name="user"')) page = await this.press(page, ['user', userId]);
    const back = await this.press(page, ['decision', decision]);
    if (back.location === undefined) throw new Error(`No redirect: ${back.status} ${back.html}`);
    return new URL(back.location);
  }
}

function formsOf(html: string): string[] {
  return [...html.matchAll(/<form[\s\S]*?<\/form>/g)].map((match) => match[0].replace(/\s+/g, ' '));
}
