import type { ProviderSpec } from './_spec/index.ts';

const provider = {
  name: 'openweather',
  displayName: 'OpenWeather',
  categories: ['weather'],
  authMode: 'API_KEY',
  docsUrl: 'https://openweathermap.org/api',
  summary: 'Read weather data with your OpenWeather key.',
  credentials: {
    apiKey: { title: 'API key', description: 'From your account page, “My API keys”.', kind: 'text', secret: true },
  },
  api: {
    baseUrl: 'https://api.openweathermap.org',
    // The query is the only place; a header is not read.
    auth: { in: 'query', name: 'appid', value: '${apiKey}' },
    verification: { method: 'GET', path: '/data/2.5/weather?lat=0&lon=0' },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'An API key cannot be revoked from here: delete it where it was made.',
  },
  gotchas: [
    'The key stands in the address of each call: OpenWeather knows no other place.',
    'A new key answers 401 for up to two hours.',
  ],
  sources: ['https://openweathermap.org/appid (use of `appid`, by way of copies; read 2026-11)'],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
