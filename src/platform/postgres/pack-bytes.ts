/** Lists of bytes as they are sent. */
export interface PackedBytes {
  /** All of them, one behind the other. */
  bytes: Buffer;
  /** Where each begins, counted from 1 as `substring` does. */
  starts: number[];
  /** Null: it is no value. */
  sizes: (number | null)[];
}

/**
 * Many values of type `bytea` for one statement, which takes each out of `bytes` by `substring`. As a list they would be
 * text: hexadecimal, twice as long, and read character by character.
 */
export function packBytes(values: readonly (Buffer | undefined)[]): PackedBytes {
  const starts: number[] = [];
  let start = 1;
  for (const value of values) {
    starts.push(start);
    start += value?.length ?? 0;
  }
  return {
    bytes: Buffer.concat(values.filter((value) => value !== undefined)),
    starts,
    sizes: values.map((value) => value?.length ?? null),
  };
}
