/** A provider whose list has pages of 1,000 records of 500 characters, rendered before anybody asks. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const PAGE = 1_000;
const RECORD_CHARS = 500;

const { records } = JSON.parse(process.argv[2] ?? '{}') as { records: number };
const pages = Array.from({ length: Math.ceil(records / PAGE) }, (_, page) => {
  const items = Array.from({ length: PAGE }, (__, n) => recordOf(page * PAGE + n));
  return Buffer.from(JSON.stringify({ items, isLast: (page + 1) * PAGE >= records }));
});

function recordOf(id: number): Record<string, unknown> {
  const record = {
    id: `rec_${String(id).padStart(9, '0')}`,
    email: `person.${id}@customer.example`,
    status: 'complete',
    created_at: '2026-01-31T12:00:00Z',
    address: { city: 'Springfield', zip: String(10_000 + (id % 90_000)), lines: ['1 Main Street', `Flat ${id % 99}`] },
    note: '',
  };
  record.note = 'n'.repeat(RECORD_CHARS - JSON.stringify(record).length);
  return record;
}

const server = createServer((request, response) => {
  const page = Number(new URL(request.url ?? '/', 'http://upstream').searchParams.get('page') ?? '0');
  const body = pages[page] ?? Buffer.from('{"items":[],"isLast":true}');
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) }).end(body);
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
