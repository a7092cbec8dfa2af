import { defineErrors } from '../../base/errors.ts';

export const recordErrors = defineErrors({
  invalid_sync_record: {
    status: 400,
    message: 'A record does not fit. Nothing of its batch was written.',
  },
  invalid_cursor: {
    status: 400,
    message: 'This cursor is none, or belongs to another model or connection. Start without one.',
  },
  mass_deletion_held: {
    status: 409,
    message:
      'This would delete an unusual share of the records, so nothing was deleted. Look at the provider, then confirm ' +
      'with POST /records/confirm-deletion, and the next run deletes them.',
  },
  no_held_deletion: { status: 404, message: 'No deletion of this model waits to be confirmed.' },
  connection_gone: {
    status: 410,
    message: 'The connection was deleted while a function wrote its records. Nothing was written.',
  },
});
