import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import { credentialRoute, saveTypedCredential } from '../credential-form.ts';
import type { ConnectDeps } from '../deps.ts';
import { readBrowserQuery } from '../query.ts';

/** Longest role name with its path, as AWS has it. */
const ROLE_LENGTH_MAX = 2_048;

/** Connects with a role of the customer's AWS account (wire contract C.4). */
export function saveAwsRoute(deps: ConnectDeps) {
  return defineRoute({
    ...credentialRoute,
    path: '/auth/aws-sigv4/:providerConfigKey',
    summary: 'Connect with an AWS role',
    errors: [...credentialRoute.errors, 'client_credentials_fetch_error'],
    body: z.strictObject({
      type: z.literal('AWS_SIGV4').optional(),
      role_arn: z
        .string()
        .max(ROLE_LENGTH_MAX)
        .regex(
          /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]+$/,
          'A role looks like arn:aws:iam::123456789012:role/name.',
        ),
      region: z.string().max(32).optional(),
      // The Connect page sends all of its form; the published client sends this one in the query.
      external_id: z.string().max(1_224).optional(),
    }),
    async handle(request) {
      const { role_arn, region = '', external_id } = request.body;
      const query = readBrowserQuery(request.query);
      const { external_id: fromQuery = '', ...params } = query.params;
      const saved = await saveTypedCredential(deps, {
        key: request.params.providerConfigKey,
        query: { ...query, params },
        mode: 'AWS_SIGV4',
        credential: { fields: { role_arn, region, external_id: external_id ?? fromQuery } },
      });
      return { body: saved };
    },
  });
}
