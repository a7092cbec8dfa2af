/** The unmodified `nango` command compiles, dry-runs and deploys to Hawser (wire contract B.14, F.7, F.8). */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectAccount } from '../support/connect.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { initNangoProject, noNangoCli, type NangoProject } from '../support/nango-cli.ts';
import { SCRIPT_COUNT, SCRIPTS } from '../support/nango-project.ts';

describe.skipIf(noNangoCli !== undefined)('the published nango command', { timeout: 180_000 }, () => {
  let app: TestApp;
  let project: NangoProject;
  beforeAll(async () => {
    app = await startTestApp();
    const made = await app.api('POST', '/integrations', { provider: 'private-api-bearer', unique_key: 'github' });
    expect(made.status).toBe(200);
    project = await initNangoProject(app.url, app.apiKey);
    await project.add('checkr-partner', SCRIPTS);
  });
  afterAll(async () => {
    await project?.remove();
    await app?.close();
  });

  it('deploys what init made, and 26 functions that use every method', async () => {
    const { code, output } = await project.run('deploy', 'dev', '--auto-confirm');
    expect(output).toContain('Deployed');
    expect(code).toBe(0);

    const { body } = await app.api('GET', '/integrations/checkr-partner/functions?limit=100');
    const expected = Object.keys(SCRIPTS)
      .filter((path) => !path.startsWith('shared/'))
      .map((path) => path.replace(/s\/(\w+)\.ts$/, '/$1'));
    expect(expected).toHaveLength(SCRIPT_COUNT);
    const found = (body.data as { type: string; name: string }[]).map(({ type, name }) => `${type}/${name}`);
    expect(found.toSorted()).toEqual(expected.toSorted());

    const sync = await app.api('GET', '/integrations/github/functions/fetchIssues?type=sync');
    expect(sync.body.data).toMatchObject({
      description: "Fetches the Github issues from all a user's repositories.",
      returns: ['GithubIssue'],
      runs: 'every hour',
      auto_start: true,
      version: '1.0.0',
      source: 'repo',
      input: 'SyncMetadata_github_fetchIssues',
    });
    expect(sync.body.data.json_schema.definitions.GithubIssue.properties.id).toEqual({ type: 'string' });
    const source = await app.api('GET', '/integrations/checkr-partner/functions/resume/code?type=sync');
    expect(source.body).toEqual({ type: 'sync', code: SCRIPTS['syncs/resume.ts'] });
    const config = await app.api('GET', '/scripts/config');
    const checkr = config.body.find((one: { providerConfigKey: string }) => one.providerConfigKey === 'checkr-partner');
    expect(checkr.syncs.find((one: { name: string }) => one.name === 'resume').features).toEqual(['checkpoints']);
    expect(checkr.syncs.find((one: { name: string }) => one.name === 'told').webhookSubscriptions).toEqual([
      'report.*',
    ]);
  });

  it('a second deploy changes only what has changed; a function that was taken out goes', async () => {
    const before = await app.services.functions.list(1);
    await rm(join(project.root, 'checkr-partner/syncs/told.ts'));
    const index = join(project.root, 'index.ts');
    const listed = await readFile(index, 'utf8');
    await writeFile(index, listed.replace("import './checkr-partner/syncs/told.js';\n", ''));
    const { output } = await project.run('deploy', 'dev', '--auto-confirm', '--allow-destructive');
    expect(output).toContain('Deployed');
    const after = await app.services.functions.list(1);
    expect(after).toEqual(before.filter((fn) => fn.name !== 'told'));
  });

  it('dry-runs an action against a connection', async () => {
    const { connectionId } = await connectAccount(app, 'checkr-partner');
    const run = await project.run('dryrun', 'validate', connectionId, '-e', 'dev', '--integration-id', 'checkr-partner', '-i', '{"name":"Ada"}'); // prettier-ignore
    expect(run.output).toMatch(/"name":\s*"Ada"/);
  });
});
