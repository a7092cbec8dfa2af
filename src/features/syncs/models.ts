import type { DeployedFunction } from '../functions/index.ts';
import { BASE_VARIANT } from './model.ts';

/** Where a model's records of one variant are kept (wire contract G.1). */
export function storedModel(model: string, variant: string): string {
  return variant === BASE_VARIANT ? model : `${model}::${variant}`;
}

/** Every model of a sync as it is kept for this variant. */
export function modelsOf(fn: DeployedFunction, variant: string): string[] {
  return fn.definition.models.map((model) => storedModel(model, variant));
}
