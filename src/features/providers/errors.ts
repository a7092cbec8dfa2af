import { defineErrors } from '../../base/errors.ts';

export const providerErrors = defineErrors({
  not_found: { status: 404, message: 'The catalogue has no provider of this name. List them with GET /providers.' },
});
