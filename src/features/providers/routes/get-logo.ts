import { z } from 'zod';
import { defineRoute, type Route } from '../../../base/route.ts';
import { providerErrors } from '../errors.ts';
import { initialsSvg } from '../logo.ts';
import type { Providers } from '../model.ts';

export function getLogo(deps: { providers: Providers }): Route {
  return defineRoute({
    method: 'GET',
    path: '/images/template-logos/:file',
    summary: 'A neutral picture with the initials of a provider.',
    auth: { by: 'public', why: 'Shown by <img> in Connect and dashboard pages; holds nothing but a public name.' },
    params: z.strictObject({ file: z.string().max(260) }),
    errors: ['not_found'],
    documented: false,
    handle({ params }) {
      const spec = params.file.endsWith('.svg') ? deps.providers.get(params.file.slice(0, -'.svg'.length)) : undefined;
      if (spec === undefined) throw providerErrors.fail('not_found');
      return {
        body: initialsSvg(spec),
        headers: {
          'content-type': 'image/svg+xml; charset=utf-8',
          // An SVG opened on its own is a document: it gets no scripts, no network and no origin.
          'content-security-policy': "default-src 'none'; sandbox",
          'x-content-type-options': 'nosniff',
          'cross-origin-resource-policy': 'cross-origin',
          'cache-control': 'public, max-age=86400',
        },
      };
    },
  });
}
