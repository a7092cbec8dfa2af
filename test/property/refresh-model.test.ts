/** Every state of the refresh protocol with two nodes and one fault (threats-and-faults 3.3, evidence). */
import { describe, expect, it } from 'vitest';
import { explore } from './refresh-explore.ts';
import type { ProviderClass, Variant } from './refresh-model.ts';

/** Faults after which a strict provider's answer is nowhere but on the wire or in the memory of a dead process. */
const UNAVOIDABLE = ['crash at journal', 'crash at wait', 'lost reply'];

const losing = (provider: ProviderClass, variant: Variant) => [...explore(provider, variant).losing.keys()].toSorted();

describe('the protocol, all states', () => {
  it.each<[ProviderClass, number]>([
    ['static', 1_000],
    ['grace', 1_000],
    ['strict', 500],
  ])(
    'fault 1: %s: loses a connection only where nothing can help, holds its invariants, never waits for ever',
    (provider, statesMin) => {
      const { states, ends, losing: lost, traces } = explore(provider, 'locked');
      expect(states).toBeGreaterThan(statesMin);
      expect(ends).toBeGreaterThan(30);
      expect([...lost.keys()].toSorted(), [...traces.values()].map((trace) => trace.join(' → ')).join('\n')).toEqual(
        provider === 'strict' ? UNAVOIDABLE : [],
      );
    },
  );

  it('fault 3: without the session lock a strict provider sees a paused node use a token twice', () => {
    expect(losing('static', 'fenced')).toEqual([]);
    expect(losing('grace', 'fenced')).toEqual([]);
    expect(losing('strict', 'fenced')).toEqual(
      [...UNAVOIDABLE, 'pause at journal', 'pause at send', 'pause at wait'].toSorted(),
    );
  });

  it('can fail: a lock that ends by time and a plain overwrite lose connections by crashes and by pauses', () => {
    expect(losing('static', 'peer')).toEqual([]);
    expect(losing('grace', 'peer')).toEqual(
      ['commit', 'journal', 'judge', 'send', 'wait'].map((step) => `pause at ${step}`),
    );
    expect(losing('strict', 'peer')).toEqual(
      [
        ...UNAVOIDABLE,
        'crash at commit',
        'crash at judge',
        ...['commit', 'journal', 'judge', 'send', 'wait'].map((step) => `pause at ${step}`),
      ].toSorted(),
    );
  });
});
