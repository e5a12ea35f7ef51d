/**
 * A relying party: is this credential good, and why was it issued? The answer is a list of checks, made or not made.
 *
 * @module
 */
export { type OfflineInput, type OnlineInput, verifyOffline, verifyOnline } from './verify.ts'
