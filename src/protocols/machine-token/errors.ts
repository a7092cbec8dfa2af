import { defineErrors } from '../../base/errors.ts';

export const machineErrors = defineErrors({
  key_not_usable: {
    status: 400,
    message: 'The private key cannot be read. Paste it whole, as PEM, without a pass phrase.',
  },
  certificate_not_usable: {
    status: 400,
    message: 'The certificate cannot be read. Paste it whole, as PEM.',
  },
  certificate_mismatch: { status: 400, message: 'The private key does not belong to the certificate.' },
  credential_incomplete: { status: 400, message: 'A value of the credential is missing that this provider needs.' },
});
