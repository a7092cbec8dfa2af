/**
 * `npm run chaos -- --rounds 1500 --seed 7`: kills nodes in the middle of refreshes and says what became of every
 * connection. The same campaign as the one among the tests, on a PostgreSQL of its own that writes through to disk.
 * With `--functions` it kills them in the middle of syncs, actions and deploys, with `--webhooks` while providers send,
 * with `--deliveries` while the app is told. With `--restarts` the database ends at once every 5 to 10 s while webhooks
 * come and the app is told of them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { silentLog } from '../src/base/log.ts';
import { systemClock } from '../src/platform/clock.ts';
import { migrate, startEmbeddedPostgres } from '../src/platform/postgres/index.ts';
import { migrationsDir } from '../src/shell/start/platform.ts';
import { runCampaign } from '../test/chaos/campaign.ts';
import { createDeliveriesWorld, deliveryTableOf, runDeliveryCampaign } from '../test/chaos/deliveries-campaign.ts';
import { tableOf } from '../test/chaos/table.ts';
import { functionTableOf, runFunctionCampaign } from '../test/chaos/functions-campaign.ts';
import { createFunctionsWorld } from '../test/chaos/functions-world.ts';
import { startRestartablePostgres } from '../test/chaos/restartable.ts';
import { createWebhooksWorld, runWebhookCampaign, webhookTableOf } from '../test/chaos/webhooks-campaign.ts';
import { runRestartCampaign } from '../test/chaos/webhooks-restarts.ts';
import { createWorld } from '../test/chaos/world.ts';

const ROUNDS_DEFAULT = 60;
const RESTART_EVERY_MS = [5_000, 10_000] as const;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    functions: { type: 'boolean' },
    webhooks: { type: 'boolean' },
    deliveries: { type: 'boolean' },
    restarts: { type: 'boolean' },
  },
});
const rounds = wholeNumber('--rounds', values.rounds, ROUNDS_DEFAULT);
const seed = wholeNumber('--seed', values.seed, Math.floor(systemClock.now() % 1_000_000_007));
process.stdout.write(`${rounds} rounds, seed ${seed}\n`);
const kinds = {
  functions: killFunctions,
  webhooks: killWebhooks,
  deliveries: killDeliveries,
  restarts: restartDatabase,
};
const kind = (Object.keys(kinds) as (keyof typeof kinds)[]).find((name) => values[name] === true);
const kill = kind === undefined ? killRefreshes : kinds[kind];

const directory = await mkdtemp(join(tmpdir(), 'hawser-chaos-pg-'));
const postgres = await startEmbeddedPostgres({ dataDir: directory, log: silentLog, clock: systemClock });
try {
  await migrate({ url: postgres.url, directory: migrationsDir(), log: silentLog, clock: systemClock });
  const startedMs = systemClock.monotonicMs();
  const { table, violations } = await kill(postgres.url);
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  const seconds = Math.round((systemClock.monotonicMs() - startedMs) / 1_000);
  process.stdout.write(`${table}\n${seconds} s\n`);
  for (const violation of violations) process.stdout.write(`BROKEN ${violation}\n`);
  const again = `${kind === undefined ? '' : `--${kind} `}--rounds ${rounds} --seed ${seed}`;
  process.stdout.write(
    violations.length === 0
      ? 'Nothing was lost that could have been kept.\n'
      : `${violations.length} promises broken. Repeat with ${again}\n`,
  );
  process.exitCode = violations.length === 0 ? 0 : 1;
} finally {
  await postgres.close();
  await rm(directory, { recursive: true, force: true });
}

function onRound(round: number, point: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[Kround ${round} of ${rounds}: ${point}`);
  else if (round % 50 === 0) process.stdout.write(`round ${round} of ${rounds}\n`);
}

async function killRefreshes(databaseUrl: string): Promise<{ table: string; violations: string[] }> {
  const world = await createWorld({ databaseUrl });
  try {
    const campaign = await runCampaign(world, { rounds, seed, onRound });
    return { table: tableOf(campaign), violations: campaign.violations };
  } finally {
    await world.close();
  }
}

async function killFunctions(databaseUrl: string): Promise<{ table: string; violations: string[] }> {
  const world = await createFunctionsWorld({ databaseUrl });
  try {
    const campaign = await runFunctionCampaign(world, { rounds, seed, onRound });
    return { table: functionTableOf(campaign), violations: campaign.violations };
  } finally {
    await world.close();
  }
}

async function killWebhooks(databaseUrl: string): Promise<{ table: string; violations: string[] }> {
  const world = await createWebhooksWorld({ databaseUrl });
  try {
    const campaign = await runWebhookCampaign(world, { rounds, seed, onRound });
    return { table: webhookTableOf(campaign), violations: campaign.violations };
  } finally {
    await world.close();
  }
}

function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  process.stderr.write(`${name} is "${text}", not a whole number above 0.\n`);
  process.exit(2);
}

async function killDeliveries(databaseUrl: string): Promise<{ table: string; violations: string[] }> {
  const world = await createDeliveriesWorld({ databaseUrl });
  try {
    const campaign = await runDeliveryCampaign(world, { rounds, seed, onRound });
    return { table: deliveryTableOf(campaign), violations: campaign.violations };
  } finally {
    await world.close();
  }
}

async function restartDatabase(): Promise<{ table: string; violations: string[] }> {
  const own = await startRestartablePostgres();
  const world = await createWebhooksWorld({ databaseUrl: own.url });
  try {
    const campaign = await runRestartCampaign(world, own, { restarts: rounds, everyMs: RESTART_EVERY_MS, seed });
    const { restarts, acknowledged, refused, recoveriesMs, delivered, twice } = campaign;
    const table =
      `${restarts} restarts, ${acknowledged} events acknowledged, ${refused} tries refused\n` +
      `taking events again after ${Math.max(...recoveriesMs)} ms at most\n` +
      `${delivered} deliveries to the app, ${twice} of them twice`;
    return { table, violations: campaign.violations };
  } finally {
    await world.close();
    await own.close();
  }
}
