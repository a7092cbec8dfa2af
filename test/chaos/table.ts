/** Outcomes of a campaign for people. */
import { POINTS, type Campaign } from './campaign.ts';
import type { Verdict } from './judge.ts';

const COLUMNS: readonly Verdict[] = ['answered', 'finished', 'asked again', 'not begun', 'lost'];

export function tableOf({ byPoint, lostByKind, kills, requests, seed }: Campaign): string {
  const rows = [['killed at', 'kills', ...COLUMNS]];
  for (const point of POINTS) {
    const tally = byPoint.get(point);
    if (tally !== undefined)
      rows.push([point, tally.kills, ...COLUMNS.map((column) => tally.verdicts[column])].map(String));
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padStart(widths[column] as number)).join('  '));
  const lost = [...lostByKind].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none';
  return [...lines, `${kills} kills, ${requests} token requests, seed ${seed}; lost: ${lost}`].join('\n');
}
