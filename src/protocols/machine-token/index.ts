/**
 * @module protocols/machine-token
 *
 * Tokens that a credential brings by itself: the client credentials grant and its relatives. Builds requests and reads
 * answers, sends nothing, keeps nothing.
 */
export type { ClientCertificate, MachineInput, TokenPlan, TokenRequest, Tokens } from './model.ts';
export { MACHINE_MODES, isMachineMode, planToken, type MachineMode } from './plan.ts';
export { clientCertificateOf } from './tls.ts';
export { appJwt, installationRequest, readInstallation } from './app-install.ts';
export { customerHoles } from './fields.ts';
export { expiryOfJwt, readPrivateKey, signJwt } from './jws.ts';
export { machineErrors } from './errors.ts';
