/** What a benchmark found: printed for people, written as JSON for machines. */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

export interface Verdict {
  budget: string;
  measured: number | undefined;
  limit: number;
  /** Which side of the limit is good. */
  wants: 'at least' | 'at most';
  met: boolean | undefined;
}

export interface Report {
  bench: string;
  results: unknown;
  verdicts: Verdict[];
}

/** A budget beside its measurement; undefined could not be measured here. */
export function verdict(budget: string, measured: number | undefined, wants: Verdict['wants'], limit: number): Verdict {
  const met = measured === undefined ? undefined : wants === 'at least' ? measured >= limit : measured <= limit;
  return { budget, measured, limit, wants, met };
}

export function printVerdicts(verdicts: readonly Verdict[]): void {
  for (const { budget, measured, limit, wants, met } of verdicts) {
    const word = met === undefined ? '?     ' : met ? 'met   ' : 'MISSED';
    console.log(
      `  ${word}  ${budget}: ${measured === undefined ? 'not measured' : shown(measured)} (${wants} ${limit})`,
    );
  }
}

/** Rows under a head, columns aligned. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)));
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
    );
    console.log(`  ${cells.join('  ')}`);
  }
}

export function shown(value: number | undefined, digits = 2): string {
  return value === undefined ? '-' : value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(digits);
}

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined || sorted.length % 2 === 1) return upper;
  return ((sorted[middle - 1] as number) + upper) / 2;
}

/** The machine, without its name. */
export function machine() {
  const [first] = cpus();
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpus: cpus().length,
    cpu: first?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 1024 ** 3),
  };
}

/** Reads `--name value` options, all numbers. Unknown ones are refused. */
export function numbers<N extends string>(args: string[], defaults: Record<N, number>): Record<N, number> {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options });
  const read = { ...defaults };
  for (const name of Object.keys(defaults) as N[]) {
    const given = values[name];
    if (given === undefined) continue;
    read[name] = Number(given);
    if (!(read[name] > 0)) throw new Error(`--${name} takes a number above 0`);
  }
  return read;
}
