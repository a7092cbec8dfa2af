/** A part of the benchmark in a process of its own, spoken to over the channel that `fork` opens. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Child<R> {
  pid: number;
  /** The first message of the child: it is ready. */
  ready: R;
  ask<A>(order: object): Promise<A>;
  close(): Promise<void>;
}

/** Starts `file` of this folder with `input` as its argument. */
export async function startChild<R>(file: string, input: object = {}): Promise<Child<R>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(input)]);
  const answer = async (): Promise<unknown> => {
    const over = new AbortController();
    const message = once(child, 'message', { signal: over.signal }).then(([first]: unknown[]) => first);
    const ended = once(child, 'exit', { signal: over.signal }).then(() => {
      throw new Error(`${file} ended early`);
    });
    // The loser of the race is aborted below; its rejection is nobody's concern.
    message.catch(() => undefined);
    ended.catch(() => undefined);
    try {
      return await Promise.race([message, ended]);
    } finally {
      over.abort();
    }
  };
  const ready = (await answer()) as R;
  return {
    pid: child.pid as number,
    ready,
    ask<A>(order: object) {
      child.send(order);
      return answer() as Promise<A>;
    },
    async close() {
      if (child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}
