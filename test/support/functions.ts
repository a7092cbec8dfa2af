/** A whole Hawser whose functions are there, for tests of deploys. */
import { silentLog } from '../../src/base/log.ts';
import { createFunctions, functionRoutes, type Functions } from '../../src/features/functions/index.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './app.ts';

export interface FunctionsApp extends TestApp {
  functions: Functions;
}

export async function startFunctionsApp(options: TestAppOptions = {}): Promise<FunctionsApp> {
  let functions: Functions | undefined;
  const later = new Proxy({} as Functions, {
    get: (_target, name) => Reflect.get(functions as Functions, name) as unknown,
  });
  const app = await startTestApp({
    ...options,
    devRoutes: ({ integrations }) => functionRoutes({ functions: later, integrations }),
  });
  const { db, integrations } = app.services;
  functions = await createFunctions({ db, integrations, log: silentLog });
  return { ...app, functions };
}
