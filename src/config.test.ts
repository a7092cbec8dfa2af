import { describe, expect, it } from 'vitest';
import { StartupError } from './base/errors.ts';
import { readConfig } from './config.ts';

describe('settings that are origins', () => {
  it.each([
    ['HAWSER_PUBLIC_URL', 'https://example.com/hawser'],
    ['HAWSER_PUBLIC_URL', 'https://example.com?x=1'],
    ['HAWSER_PUBLIC_URL', 'https://somebody@example.com'],
    ['HAWSER_RETURN_ORIGINS', 'app.example.com'],
    ['HAWSER_RETURN_ORIGINS', 'https://app.example.com/done'],
    ['HAWSER_RETURN_ORIGINS', 'https://app.example.com https://*.example.com'],
    ['HAWSER_RETURN_ORIGINS', 'null'],
    ['HAWSER_BASE_URL_OVERRIDE', 'api.example.com'],
    ['HAWSER_FRAME_ANCESTORS', 'https://app.example.com; script-src *'],
    ['HAWSER_FRAME_ANCESTORS', 'https://bücher.example'],
  ])('%s=%s: refused by its name, since it would never fit', (name, value) => {
    const error = (() => {
      try {
        return readConfig('start', { [name]: value });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(StartupError);
    expect(error).toMatchObject({ message: expect.stringContaining(name), hint: expect.stringContaining('https://') });
  });

  it('may end with a slash and be written as people do', () => {
    const config = readConfig('start', {
      HAWSER_PUBLIC_URL: 'https://Connect.Example.com:443/',
      HAWSER_RETURN_ORIGINS: 'https://app.example.com/, http://LOCALHOST:8080',
    });
    expect(config.publicUrl).toBe('https://connect.example.com');
    expect(config.returnOrigins).toEqual(['https://app.example.com', 'http://localhost:8080']);
  });
});

it('a short dashboard password is refused on every host', () => {
  expect(() => readConfig('dev', { HAWSER_DASHBOARD_PASSWORD: 'short' })).toThrow(/shorter than 12 characters/);
});

it.each([
  ['HAWSER_PORT', '1e3', 'from 0 to 65535'],
  ['HAWSER_PORT', '0x10', 'from 0 to 65535'],
  ['HAWSER_POOL_SIZE', '0', 'from 1 to 1000'],
])('%s=%s is no number of its kind', (name, value, sentence) => {
  expect(() => readConfig('dev', { [name]: value })).toThrow(sentence);
});
