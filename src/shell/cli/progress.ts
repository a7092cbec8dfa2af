import type { Clock } from '../../base/clock.ts';
import type { Output } from './index.ts';

const WIDTH = 30;
/** Faster than this only costs. */
const REDRAW_MS = 100;

export interface ProgressBar {
  update(label: string, done: number, total: number): void;
  /** Clears the line. */
  end(): void;
}

/** A bar on standard error, redrawn in place; without a terminal it shows nothing. */
export function createProgressBar(output: Output, clock: Clock): ProgressBar {
  let shownAtMs: number | undefined;
  let shown = '';
  return {
    update(label, done, total) {
      if (output.isTerminal !== true) return;
      const now = clock.monotonicMs();
      if (shownAtMs !== undefined && now - shownAtMs < REDRAW_MS && done < total) return;
      shownAtMs = now;
      const part = total === 0 ? 1 : Math.min(1, done / total);
      const filled = Math.round(part * WIDTH);
      shown = `${label.padEnd(8)} [${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${done} of ${total}`;
      output.err(`\r\u001b[2K${shown}`);
    },
    end() {
      if (shown !== '') output.err('\r\u001b[2K');
      shown = '';
    },
  };
}
