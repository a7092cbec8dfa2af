/** Input, output and error details of a run, sealed in its row. */
import type { ScriptFailure } from '../../platform/sandbox/index.ts';
import type { Vault } from '../environments/index.ts';
import type { RunResult } from './model.ts';
import type { SealedRow } from './store.ts';

type Column = 'input_sealed' | 'output_sealed';

function placeOf(environmentId: number, uuid: string, column: Column) {
  return { environmentId, table: 'run', row: uuid, column };
}

/** Undefined has no text: null in the column. */
export async function sealJson(
  vault: Vault,
  run: { environmentId: number; uuid: string },
  column: Column,
  value: unknown,
): Promise<Buffer | null> {
  const text = JSON.stringify(value);
  return text === undefined ? null : vault.seal(placeOf(run.environmentId, run.uuid, column), text);
}

export async function openJson(
  vault: Vault,
  run: { environmentId: number; uuid: string },
  column: Column,
  sealed: Buffer | null,
): Promise<unknown> {
  if (sealed === null) return undefined;
  return JSON.parse(await vault.open(placeOf(run.environmentId, run.uuid, column), sealed)) as unknown;
}

/** What stays readable of an error: code and message. */
export function publicError({ code, message }: ScriptFailure): { code: string; message: string } {
  return { code, message: message.slice(0, 10_000).toWellFormed() };
}

/** The rest of it: it holds what the provider answered and what the script gave. */
export function errorDetails({ payload, upstream, stack }: ScriptFailure): object | undefined {
  const details = {
    ...(payload !== undefined && { payload }),
    ...(upstream !== undefined && { upstream }),
    ...(stack !== undefined && { stack }),
  };
  return Object.keys(details).length === 0 ? undefined : details;
}

/** Undefined while the run has not ended. */
export async function resultOf(vault: Vault, row: SealedRow): Promise<RunResult | undefined> {
  const run = { environmentId: row.environment_id, uuid: row.uuid };
  switch (row.state) {
    case 'queued':
    case 'running':
      return undefined;
    case 'succeeded':
      return { ok: true, output: await openJson(vault, run, 'output_sealed', row.output_sealed) };
    case 'failed':
    case 'cancelled': {
      const details = (await openJson(vault, run, 'output_sealed', row.output_sealed)) as
        Partial<ScriptFailure> | undefined;
      const error = row.error ?? { code: 'script_aborted', message: 'The run was cancelled.' };
      return { ok: false, error: { ...details, ...error } };
    }
  }
}
