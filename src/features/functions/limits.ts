/** Limits of a deploy, each with its reason. */

/** A bundle holds the script and what it imports; a megabyte of libraries is a lot already. */
export const BUNDLE_BYTES_MAX = 10 * 1024 * 1024;
/** Source of one file, for people to read. */
export const SOURCE_BYTES_MAX = 2 * 1024 * 1024;
/** JSON text of a definition with its schemas: it lies in memory for every known function. */
export const DEFINITION_BYTES_MAX = 1024 * 1024;
/** Functions of one deploy: one transaction. */
export const FUNCTIONS_MAX = 2_000;
/** Bundles in memory, all together. */
export const CODE_CACHE_BYTES_MAX = 64 * 1024 * 1024;
