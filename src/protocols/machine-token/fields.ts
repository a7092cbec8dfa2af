import type { MachineInput } from './model.ts';
import { machineErrors } from './errors.ts';

/** The customer's form as holes: `credentials.x`. */
export function customerHoles(fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`credentials.${name}`, value]));
}

/** A value of the form that this provider cannot do without. Errors: `credential_incomplete`. */
export function demand(input: Pick<MachineInput, 'fields' | 'provider'>, name: string): string {
  const value = Object.hasOwn(input.fields, name) ? input.fields[name] : undefined;
  if (value !== undefined && value !== '') return value;
  const title = input.provider.credentials?.[name]?.title ?? name;
  throw machineErrors.fail('credential_incomplete', { message: `${title} is required.` });
}

/** What was sent and must not come back in an error text: the secret values of the form. */
export function secretValues({ provider, fields }: Pick<MachineInput, 'fields' | 'provider'>): string[] {
  return Object.entries(fields)
    .filter(([name, value]) => value !== '' && provider.credentials?.[name]?.secret === true)
    .map(([, value]) => value);
}
