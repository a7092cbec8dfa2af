/** Compares, for one connection and one kill, the ledger of providers and callers with what is stored. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Served } from './front.ts';
import { STRICT_KINDS } from './providers.ts';
import type { ChaosNode } from './process.ts';
import type { Answer, Subject, World } from './world.ts';

export type Verdict =
  /** A caller had the new token before the kill. */
  | 'answered'
  /** The victim had asked; the survivor finished without asking. */
  | 'finished'
  /** The victim had asked; the survivor asked once more. */
  | 'asked again'
  /** Only the survivor asked. */
  | 'not begun'
  | 'lost';

/** Refusals that pass: a refresh still runs, or has just failed. */
const PASSING = new Set(['connection_refresh_backoff', 'refresh_token_external_error', 'database_busy']);
const TRIES_MAX = 10;

/** What a caller gets in the end. Errors are not retried unless they say that they pass. */
export async function settle(world: World, node: ChaosNode, subject: Subject): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await world.read(node, subject);
    if (answer.status === 200 || tries === TRIES_MAX || !PASSING.has(answer.cause ?? '')) return answer;
    await world.endIn([subject], -1_000);
    await sleep(20);
  }
}

export interface Case {
  subject: Subject;
  /** For messages. */
  where: string;
  /** Generation before the kill. */
  generation: number;
  /** Events after this one belong to the case. */
  eventId: number;
  /** Token requests of this connection since then, oldest first. */
  served: readonly Served[];
  victim: string;
  /** How far the victim's refresh had come. */
  reached: string | undefined;
  /** What callers got while the victim was being killed. */
  answers: readonly Answer[];
  /** What a caller of the survivor got afterwards. */
  final: Answer;
  violations: string[];
}

export async function judge(world: World, one: Case): Promise<Verdict> {
  const { subject, served, final, answers } = one;
  const provider = world.providerOf(subject.kind);
  const wrong = (what: string): void => void one.violations.push(`${one.where}: ${what}`);
  const isStrict = STRICT_KINDS.includes(subject.kind);
  const states = await world.statesAfter(subject, one.eventId);
  await assertAskedOnce(world, one, wrong);

  for (const { status, accessToken, cause } of answers) {
    if (status === 200 && !subject.given.includes(accessToken ?? '')) wrong('a caller got a token nobody gave');
    if (status >= 500 && !['draining', 'database_unavailable', 'database_busy'].includes(cause ?? '')) {
      wrong(`a caller got ${status} ${cause}`);
    }
  }

  if (final.status !== 200) {
    if (final.cause !== 'connection_needs_reauth') wrong(`refused without a reason: ${final.status} ${final.cause}`);
    if (JSON.stringify(states) !== '[{"state":"needs_reauth","reason":"lost_rotation"}]') {
      wrong(`lost, and the app was told ${JSON.stringify(states)}`);
    }
    if (!isStrict) wrong('lost at a provider that forgives');
    // Lost is forgiven only where the process died between request and journal, and the newest answer reached no disk.
    if (!['K2', 'K3', 'K4', 'K5', 'K6'].includes(one.reached ?? '')) wrong(`lost after ${one.reached}`);
    const newest = served.findLast(({ issued }) => issued !== undefined)?.issued;
    if (newest === undefined) wrong('lost although nothing was rotated');
    else if (await world.isJournalled(subject, newest.accessToken)) wrong('lost although the answer was journalled');
    return 'lost';
  }

  const token = final.accessToken ?? '';
  if (!subject.given.includes(token)) wrong('the survivor hands out a token nobody gave');
  if (!(await provider.isAlive(token))) wrong('the survivor hands out a dead token');
  if (states.length > 0) wrong(`kept, but the app was told ${JSON.stringify(states)}`);
  const now = await world.now(subject);
  if (now.gen <= one.generation) wrong(`generation ${one.generation} became ${now.gen}`);
  const stored = (await world.storedRefreshToken(subject)) ?? '';
  if (!(await provider.isCurrent(stored))) {
    // Where old tokens are forgiven, the newest one may wait in the journal for its turn.
    const newest = served.findLast(({ issued }) => issued !== undefined)?.issued?.accessToken ?? '';
    const isWaiting = !isStrict && (await world.isJournalled(subject, newest));
    if (!isWaiting) wrong('the stored refresh token is not the one to use');
  }
  // I4: what a caller got was committed before, so nothing older is handed out later.
  for (const { status, accessToken } of answers) {
    if (status === 200 && subject.given.indexOf(accessToken ?? '') > subject.given.indexOf(token)) {
      wrong('a token left the process that was not committed');
    }
  }

  const byVictim = served.filter(({ node }) => node === one.victim).length;
  if (byVictim === 0) return 'not begun';
  if (served.length > 1) return 'asked again';
  return answers.some(({ status, accessToken }) => status === 200 && accessToken === token) ? 'answered' : 'finished';
}

/** I2: a strict provider sees a token twice only if the first answer reached no disk; and never three times. */
async function assertAskedOnce(world: World, one: Case, wrong: (what: string) => void): Promise<void> {
  if (!STRICT_KINDS.includes(one.subject.kind)) return;
  for (const [index, { used, issued }] of one.served.entries()) {
    const later = one.served.slice(index + 1).filter((other) => other.used === used).length;
    if (later > 1) wrong('a refresh token was sent three times');
    if (later > 0 && issued !== undefined && (await world.isJournalled(one.subject, issued.accessToken))) {
      wrong('a refresh token was sent again although its answer was journalled');
    }
  }
}
