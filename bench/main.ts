/** `npm run bench -- [name] [options]`: benchmarks show budgets, tests never time. Without a name: all of them. */
import { writeFile } from 'node:fs/promises';
import { benchActions } from './actions.ts';
import { benchConnections } from './connections.ts';
import { benchDeliveries } from './deliveries.ts';
import { benchGrowth } from './growth.ts';
import { benchProxy } from './proxy.ts';
import { benchRecords } from './records.ts';
import { benchStart } from './start.ts';
import { benchSync } from './sync.ts';
import { benchWebhooks } from './webhooks.ts';
import { machine, printVerdicts, type Report } from './support/report.ts';

const benches: Record<string, (args: string[]) => Promise<Report>> = {
  proxy: benchProxy,
  connections: benchConnections,
  start: benchStart,
  growth: benchGrowth,
  records: benchRecords,
  actions: benchActions,
  sync: benchSync,
  webhooks: benchWebhooks,
  deliveries: benchDeliveries,
};

const USAGE = `Usage: npm run bench -- [${Object.keys(benches).join(' | ')}] [options] [--json file]
  proxy        --seconds 1 --rounds 3    calls through the proxy beside nginx and the upstream itself
  connections  --seconds 1 --rounds 3    reading a connection beside the upstream itself
  start        --starts 3 --idle 10      first and warm start, idle memory and CPU (seconds)
  growth       --max 1000000 --samples 300 --idle 20   the same work with 10^3 and with more connections
  records      --records 100000 --max 1000000          saving and paging records beside raw upserts and COPY
  actions      --seconds 2 --rounds 3    an action that returns a constant beside two commits
  sync         --records 100000 --rounds 2 --schedules 100000 --idle 20   whole syncs, and schedules that wait
  webhooks     --seconds 2 --rounds 3    webhooks stored before they are answered beside single-row commits
  deliveries   --events 50000 --down 10000   a backlog of events, and an endpoint that is down for three days`;

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const at = args.indexOf('--json');
  const file = at === -1 ? undefined : args.splice(at, 2)[1];
  const names = args[0] === undefined || args[0].startsWith('--') ? Object.keys(benches) : [args.shift() as string];
  if (names.some((name) => !Object.hasOwn(benches, name)) || (names.length > 1 && args.length > 0)) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const facts = machine();
  console.log(`${facts.cpus} × ${facts.cpu}, ${facts.memoryGb} GB, ${facts.platform}, Node ${facts.node}`);
  const reports: Report[] = [];
  for (const name of names) {
    console.log(`\n${name}`);
    const report = await (benches[name] as (typeof benches)[string])(args);
    reports.push(report);
    if (names.length === 1) printVerdicts(report.verdicts);
  }
  if (names.length > 1) {
    console.log('\nBudgets');
    printVerdicts(reports.flatMap(({ verdicts }) => verdicts));
  }
  if (file !== undefined) {
    await writeFile(
      file,
      `${JSON.stringify({ at: new Date().toISOString(), machine: facts, reports }, undefined, 2)}\n`,
    );
  }
}

await main();
