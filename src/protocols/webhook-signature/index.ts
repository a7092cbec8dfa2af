/**
 * @module protocols/webhook-signature
 *
 * Proves and reads a provider's webhook as the catalogue describes it. Pure: bytes in, a verdict or texts out. Nothing
 * here throws on anything a stranger may send.
 */
export { answerChallenge, isQuestion } from './challenge.ts';
export { verifyWebhook, type WebhookProof, type WebhookRequest } from './verify.ts';
export { readPlace, readTime, redacted, textsAt, withoutSuffix } from './read.ts';
