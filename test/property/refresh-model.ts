/**
 * The refresh protocol (threats-and-faults 3.3) as a small state machine: two nodes want the next generation of one
 * connection, and one fault may happen at any step. Every reachable state is visited. Beside the protocol stands what
 * others do, a lock that ends by time and a plain overwrite, so that the model can be seen to fail.
 *
 * Refresh tokens are numbers: 0 is the first, a rotation makes the next one.
 */

export type ProviderClass =
  /** The refresh token stays. */
  | 'static'
  /** Old tokens work on for a while; each use makes a newer one. */
  | 'grace'
  /** An old token revokes the whole grant. */
  | 'strict';

export type Variant =
  /** A lock that ends by time; the answer overwrites what is stored. */
  | 'peer'
  /** Steps 3, 5, 7 to 10: intent, lease epoch, journal, compare-and-set. */
  | 'fenced'
  /** And step 4: for strict providers a lock that ends with the session, not with the time. */
  | 'locked';

/** Where a node is. The kill points name the moments between two steps of the real code. */
export type Step =
  /** Reads the row: is the generation new already? */
  | 'read'
  /** Step 4: takes the session lock. */
  | 'lock'
  /** Step 3: the claim, a durable intent. K1 lies behind it. */
  | 'claim'
  /** Step 5: an intent was open: is its answer in the journal? */
  | 'recover'
  /** Step 6. K2 lies before the bytes are written, K3 behind. */
  | 'send'
  /** The request is out; K4 lies before the first byte of the answer, K5 within it. */
  | 'wait'
  /** The answer is in memory: K6. */
  | 'journal'
  /** Step 7 is done: K7 before the answer is parsed, K8 behind. */
  | 'judge'
  /** Step 8: K9 between the commit and its answer, K10 behind. */
  | 'commit'
  /** Step 10: the provider refuses the token. */
  | 'refused'
  /** Step 9: the answer is lost. */
  | 'unknown'
  | 'done';

type Reply = { token: number } | 'invalid_grant';

interface Node {
  step: Step;
  crashed: boolean;
  paused: boolean;
  /** Generation it wants to get beyond. */
  seen: number;
  epoch: number;
  /** Token it sends, or has sent. */
  sent: number;
  reply: Reply | undefined;
  /** Epoch of the journal entry that it commits. */
  replyEpoch: number;
  /** Its own answer waits in the journal. */
  answered: boolean;
  /** An earlier exchange is unresolved: the token may be sent once more. */
  unresolved: boolean;
  resends: number;
  /** What is on the wire. It travels on when the node is gone. */
  wire: 'nothing' | 'request' | Reply;
}

interface Entry {
  used: number;
  reply: Reply;
  epoch: number;
  open: boolean;
}

export interface State {
  nodes: Node[];
  provider: { current: number; dead: boolean; graceOver: boolean };
  row: {
    token: number;
    gen: number;
    epoch: number;
    owner: number | undefined;
    leaseEnded: boolean;
    intent: boolean;
    needsReauth: boolean;
    events: number;
  };
  journal: Entry[];
  /** Node that holds the session lock. */
  lock: number | undefined;
  /** The one fault, once it has happened: `crash at wait`, `pause at send`, `lost reply`. */
  fault: string | undefined;
  /** Times each token was sent, and by whom it was allowed twice: for invariant I2. */
  sends: Record<number, number>;
  excused: boolean;
}

const RESENDS_MAX = 3;

export const newNode = (): Node => ({
  step: 'read',
  crashed: false,
  paused: false,
  seen: 0,
  epoch: 0,
  sent: 0,
  reply: undefined,
  replyEpoch: 0,
  answered: false,
  unresolved: false,
  resends: 0,
  wire: 'nothing',
});

export const START: State = {
  nodes: [newNode(), newNode()],
  provider: { current: 0, dead: false, graceOver: false },
  row: {
    token: 0,
    gen: 0,
    epoch: 0,
    owner: undefined,
    leaseEnded: false,
    intent: false,
    needsReauth: false,
    events: 0,
  },
  journal: [],
  lock: undefined,
  fault: undefined,
  sends: {},
  excused: false,
};

interface Move {
  name: string;
  to: State;
}

/** Every state that one step, one event of the world or the one fault leads to. */
export function movesOf(state: State, provider: ProviderClass, variant: Variant): Move[] {
  const moves: Move[] = [];
  const add = (name: string, change: (next: State) => void): void => {
    const to = structuredClone(state);
    change(to);
    moves.push({ name, to });
  };
  state.nodes.forEach((node, index) => {
    // What is on the wire arrives, whoever is still there.
    if (node.wire === 'request') {
      add(`provider serves ${index}`, (next) => {
        const own = next.nodes[index] as Node;
        own.wire = serve(next, own.sent, provider);
      });
    }
    if (node.crashed) return;
    if (node.paused) {
      add(`resume ${index}`, (next) => void ((next.nodes[index] as Node).paused = false));
      return;
    }
    if (!isBlocked(state, node, index)) {
      add(`${index} ${node.step}`, (next) => advance(next, next.nodes[index] as Node, index, provider, variant));
    }
    if (state.fault !== undefined || node.step === 'done') return;
    add(`crash ${index}`, (next) => {
      const own = next.nodes[index] as Node;
      own.crashed = true;
      next.fault = `crash at ${own.step}`;
      if (next.lock === index) next.lock = undefined; // the session ends with the process
    });
    add(`pause ${index}`, (next) => {
      const own = next.nodes[index] as Node;
      own.paused = true;
      next.fault = `pause at ${own.step}`;
    });
    if (isReply(node.wire)) {
      add(`lose the reply of ${index}`, (next) => {
        const own = next.nodes[index] as Node;
        own.wire = 'nothing';
        own.step = 'unknown';
        next.fault = 'lost reply';
      });
    }
  });
  // Time passes only for a node that is gone or stands still: an exchange takes less than its lease, its request too.
  const owner = state.row.owner === undefined ? undefined : state.nodes[state.row.owner];
  if (owner !== undefined && !state.row.leaseEnded && (owner.crashed || owner.paused) && owner.wire !== 'request') {
    add('the lease ends', (next) => void (next.row.leaseEnded = true));
  }
  return moves;
}

function isReply(wire: Node['wire']): wire is Reply {
  return wire !== 'nothing' && wire !== 'request';
}

/** Waits for another node, or for the wire. */
function isBlocked(state: State, node: Node, index: number): boolean {
  switch (node.step) {
    case 'done':
      return true;
    case 'wait':
      return !isReply(node.wire);
    case 'lock':
      return state.lock !== undefined && state.lock !== index;
    case 'claim':
      return (
        state.row.gen === node.seen &&
        !state.row.needsReauth &&
        state.row.owner !== undefined &&
        state.row.owner !== index &&
        !state.row.leaseEnded
      );
    default:
      return false;
  }
}

/** The provider's side of one token request. */
function serve(state: State, token: number, provider: ProviderClass): Reply {
  const { provider: grant } = state;
  if (provider === 'static') return { token: 0 };
  if (grant.dead) return 'invalid_grant';
  if (token !== grant.current) {
    if (provider === 'strict') grant.dead = true;
    if (provider === 'strict' || grant.graceOver) return 'invalid_grant';
  }
  grant.current += 1;
  return { token: grant.current };
}

function advance(state: State, node: Node, index: number, provider: ProviderClass, variant: Variant): void {
  const { row } = state;
  const again = (): void => {
    if (state.lock === index) state.lock = undefined;
    node.step = 'read';
  };
  switch (node.step) {
    case 'read':
      if (row.gen > node.seen || row.needsReauth) {
        node.step = 'done';
        return;
      }
      node.step = variant === 'locked' && provider === 'strict' ? 'lock' : 'claim';
      return;
    case 'lock':
      state.lock = index;
      node.step = 'claim';
      return;
    case 'claim': {
      if (row.gen !== node.seen || row.needsReauth) {
        again();
        return;
      }
      const wasOpen = row.intent;
      row.epoch += 1;
      row.owner = index;
      row.leaseEnded = false;
      row.intent = true;
      node.epoch = row.epoch;
      node.sent = row.token;
      node.step = variant !== 'peer' && (wasOpen || node.answered) ? 'recover' : 'send';
      return;
    }
    case 'recover': {
      const entry = newest(state, (each) => each.used === row.token && isToken(each.reply) && each.epoch < node.epoch);
      node.answered = false;
      if (entry === undefined) {
        node.unresolved = true;
        node.step = 'send';
        return;
      }
      node.reply = entry.reply;
      node.replyEpoch = entry.epoch;
      node.step = 'commit';
      return;
    }
    case 'send':
      node.wire = 'request';
      node.step = 'wait';
      state.sends[node.sent] = (state.sends[node.sent] ?? 0) + 1;
      state.excused ||= node.unresolved;
      return;
    case 'wait':
      node.reply = node.wire as Reply;
      node.wire = 'nothing';
      node.step = 'journal';
      return;
    case 'journal':
      if (variant !== 'peer') {
        state.journal.push({ used: node.sent, reply: node.reply as Reply, epoch: node.epoch, open: true });
        node.replyEpoch = node.epoch;
      }
      node.step = 'judge';
      return;
    case 'judge':
      node.step = isToken(node.reply) ? 'commit' : 'refused';
      return;
    case 'commit':
      commit(state, node, index, variant);
      return;
    case 'refused':
      refuse(state, node, index, variant);
      return;
    case 'unknown':
      lost(state, node, index, provider, variant);
      return;
    case 'done':
      return;
  }
}

function isToken(reply: Reply | undefined): reply is { token: number } {
  return reply !== undefined && reply !== 'invalid_grant';
}

function newest(state: State, matches: (entry: Entry) => boolean): Entry | undefined {
  return state.journal.findLast((entry) => entry.open && matches(entry));
}

/** Ends the claim, if it is still this node's. */
function release(state: State, node: Node, index: number): boolean {
  if (state.lock === index) state.lock = undefined;
  if (state.row.epoch !== node.epoch) return false;
  state.row.owner = undefined;
  state.row.leaseEnded = false;
  return true;
}

function commit(state: State, node: Node, index: number, variant: Variant): void {
  const { row } = state;
  const { token } = node.reply as { token: number };
  if (variant === 'peer') {
    row.token = token;
    row.gen += 1;
    release(state, node, index);
    row.intent = false;
    node.step = 'done';
    return;
  }
  if (row.epoch !== node.epoch || row.gen !== node.seen) {
    // Overtaken: the answer stays in the journal, nothing is overwritten.
    node.answered = true;
    if (state.lock === index) state.lock = undefined;
    node.step = 'read';
    return;
  }
  row.token = token;
  row.gen += 1;
  row.intent = false;
  row.needsReauth = false;
  const entry = state.journal.find((each) => each.epoch === node.replyEpoch);
  if (entry !== undefined) entry.open = false;
  release(state, node, index);
  node.step = 'done';
}

function refuse(state: State, node: Node, index: number, variant: Variant): void {
  const { row } = state;
  if (row.gen !== node.seen || (variant !== 'peer' && row.epoch !== node.epoch)) {
    if (state.lock === index) state.lock = undefined;
    node.step = 'read';
    return;
  }
  const entry =
    variant === 'peer'
      ? undefined
      : newest(state, (each) => isToken(each.reply) && each.reply.token !== row.token && each.epoch !== node.epoch);
  if (entry !== undefined) {
    node.reply = entry.reply;
    node.replyEpoch = entry.epoch;
    node.step = 'commit';
    return;
  }
  row.needsReauth = true;
  row.events += 1;
  row.intent = false;
  release(state, node, index);
  node.step = 'done';
}

/** Step 9. */
function lost(state: State, node: Node, index: number, provider: ProviderClass, variant: Variant): void {
  if (variant !== 'peer' && provider !== 'strict' && node.resends < RESENDS_MAX) {
    if (state.row.epoch !== node.epoch || state.row.gen !== node.seen) {
      node.step = 'read';
      return;
    }
    node.resends += 1;
    state.row.epoch += 1;
    node.epoch = state.row.epoch;
    node.unresolved = true;
    node.step = 'send';
    return;
  }
  // The intent stays open; the token is served to its end, and then the same refresh token is sent once more.
  release(state, node, index);
  node.step = 'read';
}
