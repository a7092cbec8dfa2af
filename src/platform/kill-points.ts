/** Ends the process at a named place when a test has armed it; otherwise does nothing. */
export interface KillPoints {
  /** `connection`: row id of the connection that is worked on, where there is one. */
  reach(name: string, connection?: number): void;
}

/** No place is armed. */
export const noKillPoints: KillPoints = { reach() {} };

/** Arms one place: SIGKILL, as a power cut would do it. */
export function armKillPoint(armed: string): KillPoints {
  return {
    reach(name) {
      if (name === armed) process.kill(process.pid, 'SIGKILL');
    },
  };
}
