import { describe, expect, it } from 'vitest';
import { State } from './state.ts';

const token = (index: number, dead: boolean) => ({ token: `t${index}`, grantId: 'g', expiresAtMs: null, dead });

describe('state', () => {
  it('forgets dead tokens of a long run and no living one', () => {
    const state = new State();
    for (let index = 0; index < 60_000; index += 1) state.addAccessToken(token(index, index % 4 !== 0));
    expect(state.accessTokens.size).toBeLessThan(40_000);
    expect([...state.accessTokens.values()].filter((each) => !each.dead)).toHaveLength(15_000);
  });

  it('takes a hundred thousand living tokens', () => {
    const state = new State();
    for (let index = 0; index < 100_000; index += 1) state.addAccessToken(token(index, false));
    expect(state.accessTokens.size).toBe(100_000);
  });
});
