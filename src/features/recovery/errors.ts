import { defineErrors } from '../../base/errors.ts';

export const recoveryErrors = defineErrors({
  quarantined: {
    status: 503,
    message:
      'This database was restored or copied: nothing is refreshed or revoked at providers until the operator runs ' +
      '`hawser accept-restore`.',
    retryable: true,
  },
  backup_unreadable: { status: 400, message: 'The file is no whole backup of Hawser. Nothing was written.' },
  backup_newer: {
    status: 409,
    message: 'The backup was made by a newer version of Hawser. Restore it with that version. Nothing was written.',
  },
  database_not_empty: {
    status: 409,
    message: 'The database is not empty. Make a new one and restore into that. Nothing was written.',
  },
  file_exists: { status: 409, message: 'The file exists already. Choose another name; backups are not overwritten.' },
});
