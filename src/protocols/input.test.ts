import { describe, expect, it } from 'vitest';
import type { Fields } from '../../catalogue/_spec/index.ts';
import { checkFields, fillTable, holesFor, urlFrom } from './input.ts';
import { PROVIDER } from './oauth2/testing.ts';

const table: Fields = {
  shop: { title: 'Shop', description: 'Shop.', kind: 'label' },
  region: { title: 'Region', description: 'Region.', kind: 'enum', options: ['eu'], default: 'eu' },
  account: { title: 'Account', description: 'Account.', kind: 'segment', automated: true },
  note: { title: 'Note', description: 'Note.', kind: 'text', optional: true },
};

describe('checkFields', () => {
  it('is silent about good values', () => {
    expect(checkFields(table, { shop: 'acme' })).toEqual([]);
    expect(checkFields(undefined, {})).toEqual([]);
  });

  it('names missing, unknown and wrong ones', () => {
    expect(checkFields(table, { region: 'us', 'x\u0000y': '1', toString: 'a', note: 7 })).toEqual([
      { field: 'region', message: 'Region must be one of: eu.' },
      { field: 'x\u0000y', message: 'There is no field "x?y" here.' },
      { field: 'toString', message: 'There is no field "toString" here.' },
      { field: 'note', message: 'Note must be text.' },
      { field: 'shop', message: 'Shop is required.' },
    ]);
  });

  it('skips completeness for learned values', () => {
    expect(checkFields(table, { account: 'a-1' }, { only: 'known' })).toEqual([]);
    expect(checkFields(table, { account: '../x' }, { only: 'known' })).toHaveLength(1);
  });
});

describe('holesFor', () => {
  const input = { provider: PROVIDER, connectionConfig: {}, integrationConfig: {} };

  it('takes declared values only', () => {
    const holes = holesFor({
      ...input,
      connectionConfig: { shop: 'acme', other: 'x' },
      integrationConfig: { shop: 'no' },
    });
    expect({ ...holes.values }).toEqual({ 'connectionConfig.shop': 'acme' });
  });

  it('checks a value again when it is used', () => {
    const holes = holesFor({ ...input, connectionConfig: { shop: 'a@evil.tld' } });
    expect(() => urlFrom('https://${connectionConfig.shop}.shop.example/', holes)).toThrow(/Shop must be one part/);
    expect(() => fillTable({ a: '${connectionConfig.shop}' }, holes)).toThrow(/Shop must be one part/);
  });
});

describe('fillTable', () => {
  it('leaves optional entries out and demands others', () => {
    const holes = holesFor({ provider: PROVIDER, connectionConfig: {}, integrationConfig: {} });
    expect(fillTable({ a: '${connectionConfig.note}', b: 'x' }, holes)).toEqual({ b: 'x' });
    expect(() => fillTable({ a: '${connectionConfig.shop}' }, holes)).toThrow(/Shop is missing/);
  });
});
