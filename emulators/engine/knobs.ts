/**
 * @module emulators/engine/knobs
 *
 * Knobs: how an emulator behaves where the provider's documents are silent (providers.md 5). Each has a type, so that a
 * misspelt name or value is refused instead of being ignored.
 */
import type { Json } from './types.ts';

export interface KnobSpec {
  name: string;
  /** `choices` is a list of `options`; `number` and `json` may be null: "as the provider does". */
  kind: 'boolean' | 'number' | 'text' | 'enum' | 'choices' | 'json';
  default: Json;
  options?: string[];
  /** One sentence, shown on the developer page. Names the unit of a number. */
  about: string;
}

/** Thrown for an unknown knob or a value of the wrong type. The message lists what is allowed. */
export class KnobError extends Error {}

/** Current values of one emulator's knobs. */
export class Knobs {
  readonly specs: KnobSpec[];
  readonly #values = new Map<string, Json>();

  constructor(specs: KnobSpec[]) {
    this.specs = specs;
  }

  /** The value in force; undefined when there is no such knob. */
  get(name: string): Json | undefined {
    if (this.#values.has(name)) return this.#values.get(name);
    return this.specs.find((spec) => spec.name === name)?.default;
  }

  /** Sets knobs, all or none. Errors: {@link KnobError} for an unknown name or a value of the wrong type. */
  set(values: Record<string, Json>): void {
    for (const [name, value] of Object.entries(values)) {
      const problem = checkValue(this.#spec(name), value);
      if (problem !== undefined) throw new KnobError(`Knob "${name}" ${problem}.`);
    }
    for (const [name, value] of Object.entries(values)) this.#values.set(name, value);
  }

  /** Reads form text as the value of a knob; empty means null for `number` and `json`. Errors: {@link KnobError}. */
  readText(name: string, text: string): Json {
    return readText(this.#spec(name), text);
  }

  number(name: string, fallback: number): number {
    const value = this.get(name);
    return typeof value === 'number' ? value : fallback;
  }

  flag(name: string): boolean {
    return this.get(name) === true;
  }

  text(name: string): string {
    const value = this.get(name);
    return typeof value === 'string' ? value : '';
  }

  list(name: string): string[] {
    const value = this.get(name);
    return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
  }

  /** Every knob with the value in force. */
  all(): Record<string, Json> {
    return Object.fromEntries(this.specs.map((spec) => [spec.name, this.get(spec.name) ?? null]));
  }

  /** Only what was set; for the state file. */
  changed(): Record<string, Json> {
    return Object.fromEntries(this.#values);
  }

  clear(): void {
    this.#values.clear();
  }

  #spec(name: string): KnobSpec {
    const spec = this.specs.find((each) => each.name === name);
    if (spec !== undefined) return spec;
    throw new KnobError(`Unknown knob "${name}". Known: ${this.specs.map((each) => each.name).join(', ')}.`);
  }
}

function checkValue(spec: KnobSpec, value: Json): string | undefined {
  const options = spec.options ?? [];
  switch (spec.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'takes true or false';
    case 'number':
      if (value === null && spec.default === null) return undefined;
      if (typeof value !== 'number' || !Number.isFinite(value)) return 'takes a number';
      return value >= 0 || spec.name === 'clockSkew' ? undefined : 'takes a number of at least 0';
    case 'text':
      return typeof value === 'string' ? undefined : 'takes a text';
    case 'enum':
      return typeof value === 'string' && options.includes(value) ? undefined : `takes one of ${options.join(', ')}`;
    case 'choices': {
      const good = Array.isArray(value) && value.every((each) => typeof each === 'string' && options.includes(each));
      return good ? undefined : `takes a list of ${options.join(', ')}`;
    }
    case 'json':
      return undefined;
  }
}

function readText(spec: KnobSpec, text: string): Json {
  const trimmed = text.trim();
  switch (spec.kind) {
    case 'boolean':
      return trimmed === 'true' ? true : trimmed === 'false' ? false : trimmed;
    case 'number':
      return trimmed === '' ? null : Number.isNaN(Number(trimmed)) ? trimmed : Number(trimmed);
    case 'text':
    case 'enum':
      return trimmed;
    case 'choices':
      return trimmed === '' ? [] : trimmed.split(/[\s,]+/);
    case 'json':
      if (trimmed === '') return null;
      try {
        return JSON.parse(trimmed) as Json;
      } catch (cause) {
        throw new KnobError(`Knob "${spec.name}" takes JSON.`, { cause });
      }
  }
}
