import { z } from 'zod';
import { defineRoute } from '../../../base/route.ts';
import type { Assets } from '../assets.ts';
import { errors } from '../errors.ts';

/** The built files; their names hold their hash, so they may be kept for ever. */
export function getConnectAssetRoute(assets: Assets) {
  return defineRoute({
    method: 'GET',
    path: '/connect-ui/assets/:file',
    summary: 'A file of the Connect page',
    auth: { by: 'public', why: 'scripts and styles of a public page' },
    params: z.object({ file: z.string().max(100) }),
    headers: z.looseObject({ 'accept-encoding': z.string().optional() }),
    errors: ['not_found'],
    documented: false,
    handle({ params, headers }) {
      const file = assets.get(params.file);
      if (file === undefined) throw errors.fail('not_found');
      const zipped = /\bgzip\b/.test(headers['accept-encoding'] ?? '');
      return {
        body: zipped ? file.gzip : file.content,
        headers: {
          'content-type': file.type,
          vary: 'accept-encoding',
          ...(zipped && { 'content-encoding': 'gzip' }),
          'cache-control': 'public, max-age=31536000, immutable',
          'x-content-type-options': 'nosniff',
        },
      };
    },
  });
}
