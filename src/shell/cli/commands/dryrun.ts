import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { silentLog } from '../../../base/log.ts';
import { systemClock } from '../../../platform/clock.ts';
import { createSandbox } from '../../../platform/sandbox/index.ts';
import { compileProject } from '../../project/compile.ts';
import { dryrun, pickFunction, replay, saveRecording, type DryrunResult } from '../../project/dryrun.ts';
import { findProject } from '../../project/folder.ts';
import { readProjectSettings } from '../../project/settings.ts';
import { openClient } from '../client.ts';
import type { Output } from '../index.ts';
import { tell, withProjectOptions } from './project.ts';

interface Options {
  dir?: string;
  environment: string;
  integrationId?: string;
  input?: unknown;
  metadata?: Record<string, unknown>;
  checkpoint?: unknown;
  lastSyncDate?: string;
  variant?: string;
  save?: boolean;
  json?: boolean;
}

/** `dryrun` and `test`: functions of a project, run here. */
export function addDryrunCommands(program: Command, output: Output, done: (exitCode: number) => void): void {
  withProjectOptions(program.command('dryrun').description('run one function here; nothing is stored'))
    .summary('run a function here; stores nothing')
    .argument('<name>', 'function')
    .argument('<connection>', 'connection it runs for')
    .option('-e, --environment <name>', 'environment of the connection', 'dev')
    .option('--integration-id <key>', 'when several functions have the name')
    .option('-i, --input <json>', 'input of an action: JSON, or @file', readJson)
    .option('-m, --metadata <json>', 'metadata instead of the connection’s: JSON, or @file', readJson)
    .option('-c, --checkpoint <json>', 'checkpoint to start from: JSON, or @file', readJson)
    .option('-l, --last-sync-date <date>', 'start of the last run, for syncs', readDate)
    .option('--variant <name>', 'named copy of the sync')
    .option('--save', 'write <integration>/tests/<name>.test.json for `hawser test`')
    .option('--json', 'print JSON')
    .action(async (name: string, connectionId: string, options: Options) => {
      const root = findProject(options.dir);
      const sandbox = createSandbox({ clock: systemClock, log: silentLog });
      const client = await openClient(options.environment, readProjectSettings(root, options.environment).server);
      try {
        const compiled = await compileProject(root, { sandbox });
        if (!tell(compiled, output)) return done(1);
        const fn = pickFunction(compiled.functions, name, options.integrationId);
        const ran = await dryrun(sandbox, client, fn, { ...options, connectionId, input: options.input });
        print(ran, options, output);
        if (!ran.result.ok) return done(1);
        if (options.save === true) output.err(`Saved ${await saveRecording(root, fn, ran.effects.recording)}\n`);
      } finally {
        await client.close();
        await sandbox.close();
      }
    });

  withProjectOptions(program.command('test').description('run every function that has a recording against it'))
    .argument('[name]', 'this function only')
    .action(async (name: string | undefined, options: { dir?: string }) => {
      const root = findProject(options.dir);
      const sandbox = createSandbox({ clock: systemClock, log: silentLog });
      try {
        const compiled = await compileProject(root, { sandbox });
        if (!tell(compiled, output)) return done(1);
        if (name !== undefined && !compiled.functions.some((fn) => fn.name === name)) {
          pickFunction(compiled.functions, name, undefined);
        }
        let count = 0;
        let failed = 0;
        for (const fn of compiled.functions) {
          if (name !== undefined && fn.name !== name) continue;
          const differences = await replay(sandbox, root, fn);
          if (differences === undefined) continue;
          count += 1;
          if (differences.length > 0) failed += 1;
          output.out(`${differences.length === 0 ? 'ok  ' : 'FAIL'} ${fn.integrationKey}/${fn.name}\n`);
          for (const difference of differences) output.out(`     ${difference}\n`);
        }
        if (count === 0) output.err('There are no recordings. Make one: hawser dryrun <name> <connection> --save\n');
        if (failed > 0 || count === 0) done(1);
      } finally {
        await sandbox.close();
      }
    });
}

function print({ result, effects }: DryrunResult, options: Options, output: Output): void {
  const { batchSave, batchUpdate, batchDelete, saveCheckpoint } = effects.recording.nango;
  const written = { batchSave, batchUpdate, batchDelete, saveCheckpoint };
  if (options.json === true) {
    output.out(`${JSON.stringify({ result, written, lines: effects.lines }, undefined, 2)}\n`);
    return;
  }
  for (const line of effects.lines) output.err(`${line}\n`);
  for (const [method, value] of Object.entries(written)) {
    if (value !== undefined) output.out(`${method} ${JSON.stringify(value, undefined, 2)}\n`);
  }
  if (result.ok) output.out(`output ${JSON.stringify(result.output ?? null, undefined, 2)}\n`);
  else {
    output.err(`${result.error.code}: ${result.error.message}\n`);
    if (result.error.payload !== undefined) output.err(`${JSON.stringify(result.error.payload, undefined, 2)}\n`);
    if (result.error.upstream !== undefined) output.err(`${JSON.stringify(result.error.upstream, undefined, 2)}\n`);
    if (result.error.stack !== undefined) output.err(`${result.error.stack}\n`);
  }
}

/** An option's value: JSON, or @file. Errors: wrong usage. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text);
  } catch (error) {
    throw new InvalidArgumentError(`This is no JSON: ${(error as Error).message}`);
  }
}

function readDate(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('This is no date. Write it like 2026-01-31.');
  return date.toISOString();
}
