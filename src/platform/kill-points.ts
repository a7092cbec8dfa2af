/** Ends the process at a named place when a test has armed it; otherwise does nothing. */
export interface KillPoints {
  /** `connection`: row id of the connection that is worked on, where there is one. */
  reach(name: string, connection?: number): void;
}

/** No place is armed. */
export const noKillPoints: KillPoints = { reach() {} };

/** More turns of the promise queue than lie between the end of a transaction's work and its COMMIT on the wire. */
const TURNS_TO_COMMIT = 100;

/**
 * To be called, not awaited, as the last step of a transaction's work: reaches the place when the COMMIT is out. Its
 * answer cannot be read before the promise queue is empty.
 */
export async function reachWithCommit(killPoints: KillPoints, name: string): Promise<void> {
  if (killPoints === noKillPoints) return;
  for (let turn = 0; turn < TURNS_TO_COMMIT; turn += 1) await undefined;
  killPoints.reach(name);
}

/** Arms one place: SIGKILL, as a power cut would do it. */
export function armKillPoint(armed: string): KillPoints {
  return {
    reach(name) {
      if (name === armed) process.kill(process.pid, 'SIGKILL');
    },
  };
}
