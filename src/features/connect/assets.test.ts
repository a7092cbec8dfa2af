import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { StartupError } from '../../base/errors.ts';
import { buildWeb } from '../../../scripts/build-web.ts';
import { readAssets } from './assets.ts';

const dir = mkdtempSync(join(tmpdir(), 'hawser-web-'));
const committed = join(import.meta.dirname, '../../../web/connect/dist');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the built Connect page', () => {
  it('is what its sources build to', async () => {
    await buildWeb(dir);
    expect(readdirSync(committed).toSorted(), 'run `node scripts/build-web.ts`').toEqual(readdirSync(dir).toSorted());
    for (const name of readdirSync(dir)) {
      expect(readFileSync(join(committed, name)).equals(readFileSync(join(dir, name))), name).toBe(true);
    }
  });

  it('is found by its entries', () => {
    const assets = readAssets();
    for (const entry of ['app.js', 'app.css', 'callback.js'] as const) {
      expect(assets.get(assets.nameOf(entry))?.content.length).toBeGreaterThan(100);
    }
    expect(assets.get('../../package.json')).toBeUndefined();
  });

  it('that is missing stops the start with a hint', () => {
    expect(() => readAssets(join(dir, 'nowhere'))).toThrow(StartupError);
  });
});
