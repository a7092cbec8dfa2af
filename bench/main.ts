/** `npm run bench -- <name> [options]`: benchmarks show budgets, tests never time. */
import { benchProxy } from './proxy/run.ts';

const benches: Record<string, (args: string[]) => Promise<void>> = { proxy: benchProxy };

const [name = '', ...args] = process.argv.slice(2);
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  console.error(
    `Usage: npm run bench -- <${Object.keys(benches).join(' | ')}> [--seconds 1] [--rounds 2] [--json file]`,
  );
  process.exitCode = 2;
} else await bench(args);
