import type { ProviderSpec } from '../../../catalogue/_spec/index.ts';
import { machineErrors } from './errors.ts';
import { readCertificate, readPrivateKey, repairPem } from './jws.ts';
import type { ClientCertificate } from './model.ts';

/**
 * The client certificate of a credential, for providers that take one; the same for token and API calls.
 * Errors: `certificate_not_usable`, `key_not_usable`, `certificate_mismatch`, `credential_incomplete`. Source: RFC 8705.
 */
export function clientCertificateOf(
  provider: ProviderSpec,
  fields: Readonly<Record<string, string>>,
): ClientCertificate | undefined {
  const wanted = provider.clientCredentials?.certificate;
  if (wanted === undefined) return undefined;
  const { client_certificate: certificate = '', client_private_key: key = '' } = fields;
  if (certificate === '') {
    if (wanted === 'optional') return undefined;
    throw machineErrors.fail('credential_incomplete', { message: 'The client certificate is required.' });
  }
  const privateKey = readPrivateKey(key);
  if (!readCertificate(certificate).checkPrivateKey(privateKey)) throw machineErrors.fail('certificate_mismatch');
  return {
    certificate: repairPem(certificate, 'CERTIFICATE'),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
