/**
 * What an entry of the log is: strict CBOR, COSE_Sign1, Signed Statements, receipts, Transparent Statements, sealed sections.
 * See README.md.
 *
 * @module
 */
export * from '#signature'
export * from './algorithm.ts'
export * from './cbor.ts'
export * from './cbor-sequence.ts'
export * from './cose-key.ts'
export * from './cose-sign1.ts'
export * from './ecdsa-malleability.ts'
export { StatementError, type StatementErrorCode } from './error.ts'
export * from './key-ring.ts'
export * from './problem-details.ts'
export * from './receipt.ts'
export { isRocaModulus } from './roca.ts'
export * from './seal.ts'
export { layoutOf, type Sign1Layout } from './sign1-layout.ts'
export * from './signed-statement.ts'
export * from './transparent-statement.ts'
export * from './verification-jwk.ts'
export * from './wrap.ts'
