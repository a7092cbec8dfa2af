import type { AuthMode } from '../../../catalogue/_spec/index.ts';
import { planInstallation } from './app-install.ts';
import { planClientCredentials } from './client-credentials.ts';
import { planJwt } from './jwt.ts';
import { planLogin } from './login.ts';
import { planAssumeRole } from '../sigv4/index.ts';
import type { MachineInput, TokenPlan } from './model.ts';

/** Modes whose credential brings its own next token: no customer and no refresh token is needed. */
export const MACHINE_MODES = [
  'OAUTH2_CC',
  'JWT',
  'TWO_STEP',
  'AWS_SIGV4',
  'APP',
] as const satisfies readonly AuthMode[];
export type MachineMode = (typeof MACHINE_MODES)[number];

/** True for a mode of {@link MACHINE_MODES}. */
export function isMachineMode(mode: string): mode is MachineMode {
  return (MACHINE_MODES as readonly string[]).includes(mode);
}

/**
 * How the next token of this credential comes about; undefined when the provider's file no longer has the mode.
 * Errors: `credential_incomplete`, `key_not_usable`, `certificate_*`, and those of templates.
 */
export function planToken(mode: MachineMode, input: MachineInput): TokenPlan | undefined {
  const { provider } = input;
  switch (mode) {
    case 'OAUTH2_CC':
      return provider.clientCredentials && planClientCredentials({ ...input, spec: provider.clientCredentials });
    case 'JWT':
      return provider.jwt && planJwt({ ...input, spec: provider.jwt });
    case 'TWO_STEP':
      return provider.login && planLogin({ ...input, spec: provider.login });
    case 'AWS_SIGV4':
      return provider.sigv4 && planAssumeRole({ ...input, spec: provider.sigv4 });
    case 'APP':
      return provider.app && planInstallation({ ...input, spec: provider.app });
  }
}
