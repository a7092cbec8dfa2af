import { InvalidArgumentError, type Command } from 'commander';
import { createInterface } from 'node:readline/promises';
import { StartupError } from '../../../base/errors.ts';
import { problemText, type Compiled } from '../../../features/functions/index.ts';
import { compileProject, writeBuild } from '../../project/compile.ts';
import { applyPlan, chosen, planProject, planText, type DeployChoice, type DeployPlan } from '../../project/deploy.ts';
import { findProject } from '../../project/folder.ts';
import { createFunctionFile, initProject } from '../../project/scaffold.ts';
import { readProjectSettings } from '../../project/settings.ts';
import { openClient } from '../client.ts';
import type { Output } from '../index.ts';

interface ProjectOptions {
  dir?: string;
}

interface CreateOptions extends ProjectOptions {
  sync?: boolean;
  action?: boolean;
  onEvent?: boolean;
}

interface DeployOptions extends ProjectOptions, Omit<DeployChoice, 'version'> {
  functionVersion?: string;
  autoConfirm?: boolean;
  allowDestructive?: boolean;
}

/** Adds the option every command on a project folder has. */
export function withProjectOptions(command: Command): Command {
  return command.option('--dir <folder>', 'project folder; default: here, hawser/ or nango-integrations/');
}

/** `init`, `create`, `compile`, `deploy`: a project folder of functions. */
export function addProjectCommands(program: Command, output: Output, done: (exitCode: number) => void): void {
  program
    .command('init')
    .description('make a folder for functions')
    .argument('[folder]', 'where', 'hawser')
    .action(async (folder: string) => {
      const made = await initProject(folder);
      output.out(made.length === 0 ? `${folder} is there already.\n` : `Made ${folder}: ${made.join(', ')}\n`);
      output.out(`Next: hawser create <integration> <name> --sync --dir ${folder}\n`);
    });

  withProjectOptions(program.command('create').description('make the file of a new function'))
    .argument('<integration>', 'integration it is for')
    .argument('<name>', 'name of the function', readName)
    .option('--sync', 'fetches records on a schedule (default)')
    .option('--action', 'does something when it is called')
    .option('--on-event', 'runs when a connection is made or deleted')
    .action(async (integration: string, name: string, options: CreateOptions) => {
      const kind = options.action === true ? 'action' : options.onEvent === true ? 'on-event' : 'sync';
      const root = findProject(options.dir);
      output.out(`Made ${await createFunctionFile(root, { integration, kind, name })}\nNext: hawser compile\n`);
    });

  withProjectOptions(program.command('compile').description('check and bundle all functions of the project')).action(
    async (options: ProjectOptions) => {
      const root = findProject(options.dir);
      const compiled = await compileProject(root);
      if (!tell(compiled, output)) return done(1);
      await writeBuild(root, compiled.functions);
      output.out(`${compiled.functions.length} functions are fine; their bundles are in build/.\n`);
    },
  );

  withProjectOptions(program.command('deploy').description('compile, compare with the server, deploy'))
    .argument('[environment]', 'environment', 'dev')
    .option('-s, --sync <name>', 'this sync only')
    .option('-a, --action <name>', 'this action only')
    .option('--on-event <name>', 'this event handler only')
    .option('-i, --integration <key>', 'functions of this integration only')
    .option('-v, --function-version <version>', 'version of everything that is deployed')
    .option('--auto-confirm', 'ask nothing; refuses deletions')
    .option('--allow-destructive', 'deletions too')
    .action(async (environment: string, options: DeployOptions) => {
      const choice: DeployChoice = { ...options, version: options.functionVersion };
      const root = findProject(options.dir);
      const compiled = await compileProject(root);
      if (!tell(compiled, output)) return done(1);
      if (chosen(compiled.functions, choice).length === 0 && compiled.functions.length > 0) {
        throw new StartupError(
          'No function of the project has these names.',
          'See what there is with: hawser compile.',
        );
      }
      const settings = readProjectSettings(root, environment);
      const client = await openClient(environment, settings.server);
      try {
        const plan = await planProject(client, compiled.functions, choice);
        if (plan.changes.length === 0) {
          output.out(`Nothing has changed at ${client.url}.\n`);
        } else {
          output.out(`Changes at ${client.url}, environment ${environment}:\n${planText(plan)}`);
          if (!(await mayDeploy(plan, options, settings.autoConfirm, output))) return done(1);
        }
        const deployed = await applyPlan(client, plan);
        output.out(`Deployed ${deployed.length} functions.\n`);
      } finally {
        await client.close();
      }
    });
}

/** Prints what is wrong; true when nothing is. */
export function tell(compiled: Compiled, output: Output): boolean {
  for (const problem of compiled.problems) output.err(`${problemText(problem)}\n`);
  if (compiled.problems.length > 0)
    output.err(`${compiled.problems.length} ${compiled.problems.length === 1 ? 'mistake' : 'mistakes'}.\n`);
  else if (compiled.functions.length === 0) output.err('The project has no functions. Make one: hawser create\n');
  return compiled.problems.length === 0;
}

async function mayDeploy(
  plan: DeployPlan,
  options: DeployOptions,
  isConfirmed: boolean,
  output: Output,
): Promise<boolean> {
  const isDestructive = plan.changes.some((change) => change.sign === '-');
  const isAsked = options.autoConfirm !== true && !isConfirmed;
  if (isDestructive && options.allowDestructive !== true && !(isAsked && process.stdin.isTTY === true)) {
    output.err('This deletes functions, and records with them. Add --allow-destructive when that is right.\n');
    return false;
  }
  if (!isAsked) return true;
  if (process.stdin.isTTY !== true) {
    output.err('Nobody can answer here. Add --auto-confirm.\n');
    return false;
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(isDestructive ? 'Deploy, and delete? (yes/no) ' : 'Deploy? (yes/no) ');
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}

function readName(name: string): string {
  if (!/^[a-zA-Z0-9_-]{1,255}$/.test(name)) throw new InvalidArgumentError('Letters, digits, _ and - only.');
  return name;
}
