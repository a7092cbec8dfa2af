/** Visits every state of the model in `refresh-model.ts`, and judges the ends. */
import { movesOf, newNode, START, type ProviderClass, type State, type Variant } from './refresh-model.ts';

export interface Exploration {
  states: number;
  ends: number;
  /** Faults after which the connection is lost, with the number of end states. */
  losing: Map<string, number>;
  /** The shortest way to each losing fault. */
  traces: Map<string, string[]>;
}

/** Visits every reachable state. Throws where an invariant does not hold or somebody waits for ever. */
export function explore(provider: ProviderClass, variant: Variant): Exploration {
  const seen = new Map<string, { state: State; from: string | undefined; move: string }>();
  const startKey = JSON.stringify(START);
  seen.set(startKey, { state: START, from: undefined, move: 'start' });
  const queue = [startKey];
  const result: Exploration = { states: 0, ends: 0, losing: new Map(), traces: new Map() };
  const traceOf = (key: string): string[] => {
    const path: string[] = [];
    for (let at: string | undefined = key; at !== undefined; at = seen.get(at)?.from) path.unshift(seen.get(at)!.move);
    return path;
  };
  for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
    const { state } = seen.get(key) as { state: State };
    const moves = movesOf(state, provider, variant);
    for (const { name, to } of moves) {
      if (variant !== 'peer') assertInvariants(state, to, provider, variant, () => [...traceOf(key as string), name]);
      const next = JSON.stringify(to);
      if (seen.has(next)) continue;
      seen.set(next, { state: to, from: key, move: name });
      queue.push(next);
    }
    // An end is a state from which only faults lead on.
    if (moves.some(({ to }) => to.fault === state.fault)) continue;
    const stuck = state.nodes.find((node) => !node.crashed && node.step !== 'done');
    if (stuck !== undefined) throw new Error(`waits for ever at ${stuck.step}: ${traceOf(key).join(' → ')}`);
    result.ends += 1;
    if (!isAliveAfter(state, provider, variant)) {
      const fault = state.fault ?? 'no fault';
      result.losing.set(fault, (result.losing.get(fault) ?? 0) + 1);
      if (!result.traces.has(fault)) result.traces.set(fault, traceOf(key));
    }
  }
  result.states = seen.size;
  return result;
}

/** The grace is over, and a node without faults refreshes once more. True when that works. */
function isAliveAfter(end: State, provider: ProviderClass, variant: Variant): boolean {
  if (end.row.needsReauth) return false;
  let state = structuredClone(end);
  state.provider.graceOver = true;
  state.fault ??= 'over';
  state.nodes.push({ ...newNode(), seen: state.row.gen });
  for (;;) {
    const [move] = movesOf(state, provider, variant);
    if (move === undefined) return !state.row.needsReauth && state.row.gen > end.row.gen;
    state = move.to;
  }
}

/** I1, I2, I3 and I6 of threats-and-faults 3.3 between one state and the next. */
function assertInvariants(
  from: State,
  to: State,
  provider: ProviderClass,
  variant: Variant,
  trace: () => string[],
): void {
  const broken = (what: string): never => {
    throw new Error(`${what}: ${trace().join(' → ')}`);
  };
  if (to.row.gen !== from.row.gen && to.row.gen !== from.row.gen + 1) broken('I1: the generation leaps');
  if (to.row.token < from.row.token) broken('I3: an older refresh token overwrites a newer one');
  if (to.row.events > 1) broken('I6: told twice');
  if (variant === 'locked' && provider === 'strict' && !to.excused) {
    if (Object.values(to.sends).some((times) => times > 1)) broken('I2: sent twice without need');
  }
}
