/** What `keys status` and `keys rotate` say to a person. */
import type { KeysStatus, RotateResult } from '../../../features/environments/index.ts';

/** More places of damaged values than anybody reads; the JSON has them all. */
const UNREADABLE_SHOWN_MAX = 10;

export function statusText(status: KeysStatus): string {
  const lines = ['Encryption keys'];
  for (const kek of status.keks) {
    const role = kek.active ? 'active' : kek.atHand ? 'read only' : 'NOT HERE';
    const free = !kek.active && kek.atHand && kek.dataKeys === 0 ? '; can be removed' : '';
    const nodes = status.nodes.total === 0 ? '' : `, on ${kek.nodes} of ${status.nodes.total} nodes`;
    lines.push(`  ${kek.id}  ${role.padEnd(9)}  wraps ${count(kek.dataKeys, 'data key')}${nodes}${free}`);
  }
  if (status.keks.length === 0) lines.push('  none');
  lines.push('', 'Data keys');
  const environments = Math.max(0, ...status.dataKeys.map((key) => key.environment.length));
  const ids = Math.max(0, ...status.dataKeys.map((key) => key.id.length));
  for (const key of status.dataKeys) {
    const state = key.purpose === 'lookup' ? 'lookup' : (key.state as string);
    const name = `${key.environment.padEnd(environments)}  ${key.id.padEnd(ids)}`;
    lines.push(`  ${name}  ${state.padEnd(7)}  under ${key.kekId}`);
    if (key.purpose === 'seal') lines.push(`    ${valuesText(key.values)}`);
  }
  for (const orphan of status.orphans) {
    lines.push(
      `  environment ${orphan.environmentId}  ${orphan.keyId || '(no key)'}  UNKNOWN: ` +
        `${count(orphan.values, 'value')} of ${orphan.column} cannot be opened`,
    );
  }
  lines.push('', 'Left to do', ...leftLines(status));
  return `${lines.join('\n')}\n`;
}

function valuesText(values: Record<string, number>): string {
  const parts = Object.entries(values).map(([column, total]) => `${column} ${total}`);
  return parts.length === 0 ? 'seals nothing' : parts.join(' · ');
}

function leftLines({ left, keks, nodes, orphans }: KeysStatus): string[] {
  const lines: string[] = [];
  const missing = keks.filter((kek) => !kek.atHand && kek.dataKeys > 0);
  for (const kek of missing) {
    lines.push(`  Give ${kek.id} to this command: ${count(kek.dataKeys, 'data key')} cannot be opened without it.`);
  }
  if (nodes.withoutActiveKek > 0) {
    lines.push(`  Give the active key to ${count(nodes.withoutActiveKek, 'running node')} and restart them.`);
  }
  if (left.dataKeysToWrap > 0) {
    lines.push(`  ${count(left.dataKeysToWrap, 'data key')} under an old encryption key: hawser keys rotate`);
  }
  if (left.unfinished || left.valuesToSeal > 0) {
    lines.push(`  ${count(left.valuesToSeal, 'value')} under an old data key: hawser keys rotate --data-keys`);
  }
  if (orphans.length > 0)
    lines.push('  Values that no key opens: restore them from a backup, or let customers reconnect.');
  return lines.length === 0 ? ['  nothing'] : lines;
}

export function rotateText(result: RotateResult, options: { dataKeys: boolean }): string {
  const lines = [`${count(result.wrapped, 'data key')} wrapped anew under ${result.activeKek}.`];
  if (options.dataKeys) {
    if (result.made.length > 0) lines.push(`${count(result.made.length, 'new data key')}.`);
    lines.push(`${count(result.sealed, 'value')} sealed anew.`);
  }
  if (result.retired.length > 0) lines.push(`Retired: ${result.retired.join(', ')}. They still open what they sealed.`);
  if (result.deleted.length > 0) lines.push(`Deleted, unused for 30 days: ${result.deleted.join(', ')}.`);
  for (const one of result.unreadable.slice(0, UNREADABLE_SHOWN_MAX)) {
    lines.push(`Cannot be opened: ${one.table}.${one.column}, environment ${one.environmentId}, row ${one.row}.`);
  }
  const more = result.unreadable.length - UNREADABLE_SHOWN_MAX;
  if (more > 0) lines.push(`And ${more} more that cannot be opened; --json lists them.`);
  if (result.unfinished !== undefined) lines.push(UNFINISHED[result.unfinished]);
  else lines.push('Old encryption keys that wrap nothing can now be taken out of the settings: hawser keys status');
  return `${lines.join('\n')}\n`;
}

const UNFINISHED: Record<NonNullable<RotateResult['unfinished']>, string> = {
  stopped: 'Stopped before the end. Nothing is lost: run the same command again to go on.',
  nodes_behind: 'A node has not read the new data keys. The old ones stay in use: run the same command again.',
  values_locked: 'Some values were locked all the time. Run the same command again to go on.',
};

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
