/**
 * @module protocols/sigv4
 *
 * AWS: temporary keys of a role (STS) and the signature of every call. Sends nothing, keeps nothing.
 */
export { externalIdRule, planAssumeRole, placeOf } from './sts.ts';
export { sigV4Signer } from './signer.ts';
