import { describe, expect, it } from 'vitest';
import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { learnedAnew } from './learned.ts';

const field = { title: 'F', description: 'F.' };
const provider = {
  connectionConfig: {
    instance: { ...field, kind: 'url', hosts: ['.sample.example'], automated: true },
    tenant: { ...field, kind: 'segment', automated: true },
    shop: { ...field, kind: 'label' },
  },
  account: { idFrom: 'tenant' },
} as unknown as ProviderSpec;

describe('what a refresh tells', () => {
  it('is taken over when it changed and is of its kind', () => {
    const known = { instance: 'https://one.sample.example' };
    expect(learnedAnew(provider, known, { instance: 'https://two.sample.example' })).toEqual({
      values: { instance: 'https://two.sample.example' },
      refused: [],
    });
    expect(learnedAnew(provider, known, { instance: 'https://one.sample.example' }).values).toEqual({});
  });

  it('never names a host that the file does not list', () => {
    expect(learnedAnew(provider, {}, { instance: 'https://evil.example' })).toEqual({
      values: {},
      refused: ['instance'],
    });
  });

  it('changes neither the account, nor what the customer typed, nor unknown keys', () => {
    const told = { tenant: 'other', shop: 'other', more: 'other' };
    expect(learnedAnew(provider, { tenant: 'mine', shop: 'mine' }, told)).toEqual({ values: {}, refused: [] });
  });
});
