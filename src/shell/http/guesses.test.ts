import { describe, expect, it } from 'vitest';
import { isHawserError } from '../../base/errors.ts';
import { handClock } from '../../../test/support/evil.ts';
import { createGuesses } from './guesses.ts';

const outcome = async (found: Promise<unknown>): Promise<unknown> => {
  try {
    return await found;
  } catch (error) {
    if (isHawserError(error, 'too_many_request')) return 'limited';
    throw error;
  }
};

function setUp(perMinute = 10) {
  const clock = handClock();
  const guesses = createGuesses({ clock, perMinute });
  let lookUps = 0;
  /** `right…` is somebody's secret. */
  const check = (secret: string, address = 'a') =>
    outcome(
      guesses.check(address, secret, async () => {
        lookUps += 1;
        await Promise.resolve();
        return secret.startsWith('right') ? secret : undefined;
      }),
    );
  return { clock, guesses, check, lookUps: () => lookUps };
}

describe('guesses', () => {
  it('abuse 39: ten wrong secrets a minute are looked up, in parallel too', async () => {
    const { clock, check, lookUps } = setUp();
    const answers = await Promise.all(Array.from({ length: 10_000 }, (_, index) => check(`wrong ${index}`)));
    expect(lookUps()).toBe(10);
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(10);
    expect(answers.filter((answer) => answer === 'limited')).toHaveLength(9_990);
    clock.advance(60_000);
    expect(await check('wrong again')).toBeUndefined();
    expect(lookUps()).toBe(11);
  });

  it('abuse 39: a right secret, once known, is never held up', async () => {
    const { check, lookUps } = setUp();
    expect(await check('right')).toBe('right');
    for (let index = 0; index < 20; index += 1) await check(`wrong ${index}`);
    expect(await check('wrong too')).toBe('limited');
    expect(await check('right')).toBe('right');
    // An unknown right one looks like a guess until the window ends; elsewhere it does not.
    expect(await check('right, new')).toBe('limited');
    expect(await check('right, new', 'b')).toBe('right, new');
    expect(lookUps()).toBe(13);
  });

  it('abuse 39: many right secrets at once wait for each other, and none is refused', async () => {
    const { check, lookUps } = setUp();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => check(`right ${index}`)));
    expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => `right ${index}`));
    expect(lookUps()).toBe(100);
  });

  it('abuse 39: the same wrong secret again costs nothing and is told the same', async () => {
    const { clock, check, lookUps } = setUp();
    for (let index = 0; index < 100; index += 1) expect(await check('wrong')).toBeUndefined();
    expect(lookUps()).toBe(1);
    clock.advance(10_000);
    expect(await check('wrong')).toBeUndefined();
    expect(lookUps()).toBe(2);
  });

  it('a secret that stops being right is forgotten', async () => {
    const { clock, guesses } = setUp(1);
    expect(await guesses.check('a', 's', async () => 1)).toBe(1);
    expect(await guesses.check('a', 's', async () => undefined)).toBeUndefined();
    clock.advance(10_000);
    expect(await outcome(guesses.check('a', 's', async () => undefined))).toBeUndefined();
    expect(await outcome(guesses.check('a', 't', async () => 1))).toBe('limited');
  });

  it('a database that is away is no wrong guess', async () => {
    const { guesses, check } = setUp(1);
    const away = () => Promise.reject(new Error('away'));
    await expect(guesses.check('a', 's', away)).rejects.toThrow('away');
    expect(await check('right')).toBe('right');
  });

  it('browsers have a larger share of their own', () => {
    const { clock, guesses } = setUp(10);
    for (let failed = 0; failed < 60; failed += 1) {
      guesses.assertBrowserMayTry('a');
      guesses.browserFailed('a');
    }
    expect(() => guesses.assertBrowserMayTry('a')).toThrow();
    guesses.assertBrowserMayTry('b');
    clock.advance(60_000);
    guesses.assertBrowserMayTry('a');
  });

  it('0 switches it off', async () => {
    const { guesses, check, lookUps } = setUp(0);
    for (let index = 0; index < 50; index += 1) {
      expect(await check(`wrong ${index}`)).toBeUndefined();
      guesses.browserFailed('a');
    }
    guesses.assertBrowserMayTry('a');
    expect(lookUps()).toBe(50);
  });
});
