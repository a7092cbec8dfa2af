import { LRUCache } from 'lru-cache';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Recent } from './recent.ts';

describe('the entries used last', () => {
  it('are those that a plain least-recently-used cache keeps', () => {
    const step = fc.tuple(fc.constantFrom('get', 'set', 'has', 'delete'), fc.nat(6), fc.nat(99));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
        const ours = new Recent<number, number>(max);
        const other = new LRUCache<number, number>({ max });
        for (const [what, key, value] of steps) {
          if (what === 'get') expect(ours.get(key)).toBe(other.get(key));
          else if (what === 'has') expect(ours.has(key)).toBe(other.has(key));
          else if (what === 'set') {
            ours.set(key, value);
            other.set(key, value);
          } else {
            ours.delete(key);
            other.delete(key);
          }
          expect(ours.size).toBe(other.size);
        }
      }),
    );
  });
});
