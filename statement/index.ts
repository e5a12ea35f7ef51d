/**
 * What an entry of the log is: strict CBOR, COSE_Sign1, Signed Statements, Receipts, Transparent Statements, sealed sections.
 *
 * @module
 */
export * from '#signature'
export * from './cbor.ts'
export * from './cose-key.ts'
export * from './cose-sign1.ts'
export * from './error.ts'
export * from './signed-statement.ts'
