import { defineRoute, type Route } from '../../../base/route.ts';
import { credentialRoute } from '../credential-form.ts';
import { errors } from '../errors.ts';

/** Endpoints of modes that no provider of the catalogue has (wire contract C.4). */
const OTHER_MODES: Record<string, string> = {
  '/auth/tba/:providerConfigKey': 'TBA',
  '/auth/bill/:providerConfigKey': 'BILL',
  '/auth/signature/:providerConfigKey': 'SIGNATURE',
  '/auth/oauth-outbound/:providerConfigKey': 'OAUTH2 (outbound)',
};

/** Answers the other credential endpoints of the published client in words it shows. */
export function saveUnsupportedRoutes(): Route[] {
  return Object.entries(OTHER_MODES).map(([path, mode]) =>
    defineRoute({
      method: 'POST',
      path,
      summary: `Not supported: ${mode}`,
      auth: { by: 'public', why: 'answers the same to everybody' },
      params: credentialRoute.params,
      errors: ['invalid_auth_mode'],
      documented: false,
      handle(): never {
        const message = `Credentials of type ${mode} are not supported. Supported: OAUTH2, API_KEY, BASIC, NONE, OAUTH2_CC, JWT, TWO_STEP, AWS_SIGV4.`;
        throw errors.fail('invalid_auth_mode', { message });
      },
    }),
  );
}
