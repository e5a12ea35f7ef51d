/**
 * provlog/provenance: what a record says, who may say it, and whether a credential's story holds.
 *
 * @module
 */
export { ProvenanceError, type ProvenanceErrorCode } from './error.ts'
