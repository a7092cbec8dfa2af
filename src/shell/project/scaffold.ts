/** Makes a project folder and the files of new functions. */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartupError } from '../../base/errors.ts';
import { KIND_FOLDERS, type FunctionFile } from '../../features/functions/index.ts';
import { packageVersion } from '../start/run.ts';

/** Makes a folder with what editors need. Files that are there stay. Resolves to those it made. */
export async function initProject(root: string): Promise<string[]> {
  const made: string[] = [];
  const files: [string, string][] = [
    [
      'package.json',
      json({ private: true, type: 'module', devDependencies: { hawser: packageVersion(), zod: '^4.0.0' } }),
    ],
    [
      'tsconfig.json',
      json({
        compilerOptions: {
          target: 'es2024',
          module: 'preserve',
          moduleResolution: 'bundler',
          strict: true,
          noUncheckedIndexedAccess: true,
          skipLibCheck: true,
          noEmit: true,
        },
        include: ['**/*.ts'],
        exclude: ['build', 'node_modules'],
      }),
    ],
    ['.gitignore', 'node_modules/\nbuild/\n.env\n'],
    [
      '.env',
      '# Where `hawser deploy` goes. Without them: the server that runs on this machine.\n# HAWSER_URL=https://connect.example.com\n# HAWSER_API_KEY=\n',
    ],
  ];
  await mkdir(root, { recursive: true });
  for (const [name, text] of files) {
    if (existsSync(join(root, name))) continue;
    await writeFile(join(root, name), text);
    made.push(name);
  }
  return made;
}

/** Writes the file of a new function, and names it in index.ts where there is one. Errors: {@link StartupError}. */
export async function createFunctionFile(
  root: string,
  fn: Pick<FunctionFile, 'integration' | 'kind' | 'name'>,
): Promise<string> {
  const folder = Object.keys(KIND_FOLDERS).find((name) => KIND_FOLDERS[name] === fn.kind) as string;
  const path = `${fn.integration}/${folder}/${fn.name}.ts`;
  if (existsSync(join(root, path))) throw new StartupError(`${path} is there already.`, 'Choose another name.');
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), TEMPLATES[fn.kind]);
  if (existsSync(join(root, 'index.ts'))) {
    await appendFile(join(root, 'index.ts'), `import './${path.replace(/\.ts$/, '.js')}';\n`);
  }
  return path;
}

const TEMPLATES: Record<FunctionFile['kind'], string> = {
  sync: `import { createSync } from 'hawser/functions';
import * as z from 'zod';

const Item = z.object({
  id: z.string(),
  name: z.string(),
});

export default createSync({
  description: 'Fetches all items.',
  frequency: 'every hour',
  autoStart: true,
  models: { Item },
  exec: async (nango) => {
    await nango.trackDeletesStart('Item');
    const pages = nango.paginate<{ id: string; name: string }>({
      endpoint: '/items',
      paginate: { type: 'offset', offset_name_in_request: 'offset', limit_name_in_request: 'limit', limit: 100 },
      retries: 3,
    });
    for await (const page of pages) {
      await nango.batchSave(
        page.map(({ id, name }) => ({ id, name })),
        'Item',
      );
    }
    await nango.trackDeletesEnd('Item');
  },
});
`,
  action: `import { createAction } from 'hawser/functions';
import * as z from 'zod';

export default createAction({
  description: 'Creates an item.',
  input: z.object({ name: z.string() }),
  output: z.object({ id: z.string() }),
  exec: async (nango, input) => {
    const { data } = await nango.post<{ id: string }>({ endpoint: '/items', data: { name: input.name } });
    return { id: data.id };
  },
});
`,
  'on-event': `import { createOnEvent } from 'hawser/functions';

export default createOnEvent({
  description: 'Runs after a connection is made.',
  event: 'post-connection-creation',
  exec: async (nango) => {
    await nango.log('Connected.');
  },
});
`,
};

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
