import { spawn } from 'node:child_process';

/** Programs that hand an address to the person's browser, and what stands before it. */
const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [program: string, ...args: string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** Opens an address in the browser of whoever sits here. Resolves to false when there is no program for it. */
export function openBrowser(url: URL, opener = OPENERS[process.platform] ?? ['xdg-open']): Promise<boolean> {
  const [program, ...args] = opener;
  return new Promise((resolve) => {
    const child = spawn(program as string, [...args, url.href], { stdio: 'ignore', detached: true });
    child.on('error', () => resolve(false));
    child.on('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}
