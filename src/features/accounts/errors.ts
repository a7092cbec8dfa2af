import { defineErrors } from '../../base/errors.ts';

export const accountErrors = defineErrors({
  account_already_connected: {
    status: 409,
    message:
      'This account of the provider is connected already, and the integration takes each account once (`account_policy`). Disconnect the other connection first.',
  },
  account_changed: {
    status: 409,
    message:
      'This is another account of the provider than before. Nothing was changed: connect it as a new connection, or allow the change with `account_change` in `custom` of the integration.',
  },
  account_not_connected: {
    status: 404,
    message: 'No connection belongs to an account with this id. List them with GET /accounts.',
  },
});
