import { runCli } from '../../src/shell/cli/index.ts';

interface Help {
  path: string[];
  text: string;
}

/** The help of the program and of every command below it, as the program prints it. */
export async function commandHelps(path: string[] = []): Promise<Help[]> {
  let text = '';
  // The help is wrapped to the terminal; the page must not depend on whose.
  Object.defineProperty(process.stdout, 'columns', { value: 100, configurable: true });
  const isTTY = process.stdout.isTTY;
  process.stdout.isTTY = true;
  const code = await runCli([...path, '--help'], { out: (part) => (text += part), err: (part) => (text += part) });
  process.stdout.isTTY = isTTY;
  if (code !== 0) throw new Error(`hawser ${path.join(' ')} --help ended with ${code}`);
  const commands = /^Commands:\n((?: {2}.*\n?)+)/m.exec(text)?.[1] ?? '';
  const names = [...commands.matchAll(/^ {2}([a-z][\w-]*)/gm)].map((match) => match[1] as string);
  const helps: Help[] = [{ path, text: text.trimEnd() }];
  for (const name of names) if (name !== 'help') helps.push(...(await commandHelps([...path, name])));
  return helps;
}

/** `docs/reference/cli.md`. */
export async function cliPage(): Promise<string> {
  const sections = (await commandHelps()).map(({ path, text }) => {
    const title = ['hawser', ...path].join(' ');
    return `${path.length === 0 ? '' : `## ${title}\n\n`}\`\`\`text\n${text}\n\`\`\`\n`;
  });
  return `# Command line

Written by \`npm run docs\` from the program's own help.

In a clone, \`npm run hawser -- <command>\` runs a command. Commands that talk to a server find it through
\`hawser.json\` in the data folder, or through \`HAWSER_URL\` and \`HAWSER_API_KEY\`. With \`--json\` the output is for
programs. Results go to standard output, messages to standard error.

${sections.join('\n')}`;
}
