import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { readProjectConfig, type ProjectConfig } from '../../config.ts';

/** Settings of a project: the process's own, then its `.env`. */
export function readProjectSettings(root: string, environment: string): ProjectConfig {
  const path = join(root, '.env');
  const dotenv = existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
  return readProjectConfig(environment, dotenv);
}
