/** Knobs that only derived emulators have. */

/** Which of the declared places of the access token is used. */
export const TOKEN_PLACE_KNOB = 'tokenPlace';

/** An origin that answers name instead of the account's own. */
export const FOREIGN_ORIGIN_KNOB = 'foreignOrigin';
