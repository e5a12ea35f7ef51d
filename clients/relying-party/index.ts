/**
 * A relying party: is this credential good, and why was it issued? The answer is a list of checks, made or not made.
 *
 * @module
 */
export { CHAIN_TITLES, type ChainReport, MAX_CHAIN, verifyChain } from './chain.ts'
export { DECISION_TYPE, type Decision, decisionRecord, parseDecisionRecord } from './decision-record.ts'
export { parseRequestFile, parseResponseFile } from './message-file.ts'
export { type RequestInput, verifyRequest } from './request.ts'
export { type OfflineInput, type OnlineInput, verifyOffline, verifyOnline } from './verify.ts'
