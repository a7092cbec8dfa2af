/** Origins that a provider's answer names: they decide where tokens go. */
import { describe, expect, it } from 'vitest';
import { ADDRESS_CORPUS, TEMPLATE_CORPUS } from '../../test/conformance/template-corpus.ts';
import { checkField, type TemplateField } from './field.ts';

const field: TemplateField = {
  kind: 'url',
  title: 'Instance',
  hosts: ['.salesforce.com', 'accounts.zoho.com', 'accounts.zoho.eu'],
};

describe('an origin bound to hosts', () => {
  it.each([
    'https://acme.my.salesforce.com',
    'https://na1.salesforce.com/',
    'https://ACME.salesforce.com',
    'https://acme.salesforce.com:443',
    'https://accounts.zoho.com',
    'https://accounts.zoho.eu',
  ])('takes %s', (value) => {
    expect(checkField(field, value)).toBeUndefined();
  });

  it.each([
    'https://salesforce.com',
    'https://.salesforce.com',
    'https://evilsalesforce.com',
    'https://x.accounts.zoho.com',
    'https://accounts.zoho.com.evil.tld',
    'https://accounts.zoho.in',
    'http://accounts.zoho.com',
    'https://accounts.zoho.com:8443',
    'https://accounts.zoho.com/oauth',
    'https://accounts.zoho.com/?a=b',
    'https://accounts.zoho.com/#a',
    'https://user@accounts.zoho.com',
    'https://accounts.zoho.com@evil.tld',
    'https://evil.tld\\.salesforce.com',
    'https://evil.tld%2f.salesforce.com',
    'https://acme.salesforce.com.',
    'accounts.zoho.com',
    '',
    ' https://accounts.zoho.com',
    'https://${a}.salesforce.com',
    'https://xn--80ak6aa92e.com',
    'https://127.0.0.1',
  ])('refuses %j without repeating it', (value) => {
    const problem = checkField(field, value);
    expect(problem).toMatch(/^Instance must/);
    if (value.includes('evil')) expect(problem).not.toContain('evil');
  });

  it('lets nothing of the corpus through but listed origins', () => {
    for (const value of [...TEMPLATE_CORPUS, ...ADDRESS_CORPUS]) {
      if (checkField(field, value) !== undefined) continue;
      expect(new URL(String(value)).hostname).toMatch(/^(?:[a-z0-9-]+\.)+salesforce\.com$|^accounts\.zoho\.(com|eu)$/);
    }
  });

  it('binds nothing without a list', () => {
    expect(checkField({ kind: 'url' }, 'https://anything.example/path')).toBeUndefined();
  });
});
