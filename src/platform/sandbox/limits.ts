/** What the place where scripts run allows; each with its reason. The guide's table is made of it. */

/** Rows of the table in the guide: value, unit and why. */
export const SANDBOX_LIMITS = {
  softTimeoutShare: { value: 0.8, why: 'from this part of the time on, saving a checkpoint ends the run' },
  abortGraceMs: { value: 5_000, why: 'a cancelled script may tidy up this long before it is killed' },
  pongMs: { value: 1_000, why: 'a process that does not answer this long is blocked by a loop and is killed' },
  startMs: { value: 60_000, why: 'a process that is not ready by then will never be' },
  heapMegabytes: { value: 256, why: 'V8 heap of one process' },
  dataBytes: { value: 1_000_000_000, why: 'all memory of one process, Buffers too (Linux with `prlimit` only)' },
  cpuSeconds: { value: 1_800, why: 'processor time of one process: ends an orphan in a loop (`prlimit` only)' },
  cpuSecondsAlone: { value: 90_000, why: 'the same for a long sync, which has a process of its own' },
  openFiles: { value: 64, why: 'a process needs its pipes and nothing else (`prlimit` only)' },
  processesMax: { value: 12, why: 'processes of one node; further runs wait for a free one' },
  aloneMax: { value: 8, why: 'of these for runs that have a process of their own, so that others find a place' },
  environmentShare: { value: 0.75, why: 'of both for one environment at a time, so that others find a place' },
  crowdedMs: { value: 2_000, why: 'after such a wait twice as many processes may run: runs may wait for one another' },
  concurrencyMax: { value: 16, why: 'runs of the same function in one process at a time' },
  spreadAt: { value: 4, why: 'with so many runs in each process another one is started, one per processor' },
  runsMax: { value: 20_000, why: 'a process is replaced after so many runs: what scripts leave behind is bounded' },
  ageMs: { value: 15 * 60_000, why: 'a process is replaced after this time' },
  idleMs: { value: 60_000, why: 'a process that nobody used for this long is ended' },
  messageBytesMax: { value: 100 * 1024 * 1024, why: 'one message between script and host, such as a body to send' },
  recordBytesMax: { value: 10 * 1024 * 1024, why: 'JSON of one record' },
  batchRecordsMax: { value: 1_000, why: 'records of one write; a longer batch is split' },
  batchBytesMax: { value: 8 * 1024 * 1024, why: 'JSON of one write; a larger batch is split' },
  idsMax: { value: 100, why: 'ids of one look-up of records; more are split' },
  outputBytesMax: { value: 2 * 1024 * 1024, why: 'JSON of what an action returns' },
  depthMax: { value: 200, why: 'nesting of outputs, records and arguments: deeper ones break JSON writers' },
  callsMax: { value: 1_000, why: 'calls to the host that one run may have open; further ones wait' },
  logRowBytesMax: { value: 100 * 1024, why: 'one log line with its payload; longer ones are cut' },
  logRowsMax: { value: 10_000, why: 'log lines of one run; a last line says that more were dropped' },
  logBytesMax: { value: 10 * 1024 * 1024, why: 'all log lines of one run' },
  stderrBytesMax: { value: 1024 * 1024, why: 'what a process may write past the log; more ends it' },
} as const;

export type SandboxLimits = { [Name in keyof typeof SANDBOX_LIMITS]: number };

/** The numbers alone, with those of a test over them. */
export function limitsOf(over: Partial<SandboxLimits> = {}): SandboxLimits {
  const numbers = Object.entries(SANDBOX_LIMITS).map(([name, { value }]) => [name, value]);
  return { ...(Object.fromEntries(numbers) as SandboxLimits), ...over };
}
