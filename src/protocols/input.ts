/**
 * What the holes of a provider's templates are filled with, and how a value is checked: the one bridge between a
 * provider file and `base/template.ts`.
 */
import { fieldsOf } from '../../catalogue/_spec/holes.ts';
import type { FieldSpec, Fields, ProviderSpec } from '../../catalogue/_spec/index.ts';
import {
  checkField,
  fillTemplate,
  fillUrl,
  fillUrlIfComplete,
  holesOf,
  missingValue,
  type Encode,
  type TemplateFields,
  type TemplateValues,
} from '../base/template.ts';

/** Everything that may stand in a hole, apart from secrets. */
export interface TemplateInput {
  /** Gives the field tables, so that values are type-checked at use. */
  provider: ProviderSpec;
  connectionConfig: Record<string, unknown>;
  integrationConfig: Record<string, unknown>;
}

export interface Holes {
  fields: TemplateFields;
  values: TemplateValues;
}

/** Fields and values for one call. `extra`: `clientId` and the secret holes. */
export function holesFor(input: TemplateInput, extra: Record<string, string | undefined> = {}): Holes {
  const values = Object.create(null) as Record<string, unknown>;
  copy('connectionConfig', input.provider.connectionConfig, input.connectionConfig, values);
  copy('integrationConfig', input.provider.integrationConfig, input.integrationConfig, values);
  Object.assign(values, extra);
  return { fields: fieldsOf(input.provider), values };
}

function copy(
  group: string,
  declared: Fields | undefined,
  given: Record<string, unknown>,
  into: Record<string, unknown>,
): void {
  for (const name of Object.keys(declared ?? {})) {
    if (Object.hasOwn(given, name)) into[`${group}.${name}`] = given[name];
  }
}

/** Fills a URL template. Errors: `template_value_missing`, `template_value_invalid`. */
export function urlFrom(template: string, holes: Holes): URL {
  return fillUrl(template, holes.fields, holes.values);
}

/** Fills a URL template; undefined while a hole is empty. Errors: `template_value_invalid`. */
export function urlIfComplete(template: string, holes: Holes): URL | undefined {
  return fillUrlIfComplete(template, holes.fields, holes.values);
}

/**
 * Fills the values of a table (parameters, headers). An entry with an empty hole is left out when the field is optional.
 * Errors: `template_value_missing`, `template_value_invalid`.
 */
export function fillTable(
  table: Record<string, string>,
  holes: Holes,
  encode: Encode = 'none',
): Record<string, string> {
  const filled: Record<string, string> = {};
  for (const [name, template] of Object.entries(table)) {
    const value = fillTemplate(template, holes.values, { encode, fields: holes.fields });
    if (value !== undefined) filled[name] = value;
    else requireOptional(template, holes);
  }
  return filled;
}

/** Throws unless every empty hole of the template belongs to an optional field. */
function requireOptional(template: string, holes: Holes): void {
  for (const name of holesOf(template)) {
    const given = Object.hasOwn(holes.values, name) ? holes.values[name] : undefined;
    if ((given === undefined || given === '' || given === null) && !holes.fields[name]?.optional) {
      throw missingValue(name, holes.fields);
    }
  }
}

/** One wrong value, in words for the person who typed it. */
export interface FieldProblem {
  field: string;
  message: string;
}

/**
 * Checks typed values against a provider's field table before they are stored: unknown names, wrong kinds and missing
 * required values. Automated fields are not asked for. Give `only: 'known'` to skip the completeness check (values
 * learned from a callback or a token answer).
 */
export function checkFields(
  table: Fields | undefined,
  values: Record<string, unknown>,
  options: { only?: 'known' } = {},
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const [name, value] of Object.entries(values)) {
    const field = table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
    const message = field === undefined ? `There is no field "${printable(name)}" here.` : checkField(field, value);
    if (message !== undefined) problems.push({ field: name, message });
  }
  if (options.only === 'known') return problems;
  for (const [name, field] of Object.entries(table ?? {})) {
    if (isRequired(field) && !Object.hasOwn(values, name))
      problems.push({ field: name, message: `${field.title} is required.` });
  }
  return problems;
}

function isRequired(field: FieldSpec): boolean {
  return !field.optional && !field.automated && field.default === undefined;
}

function printable(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64);
}
