/**
 * What a log is: an append-only Merkle tree, and the signed statements about it. See README.md.
 *
 * @module
 */
export * from '#ed25519'
export * from './bytes.ts'
export * from './checkpoint.ts'
export * from './compact-range.ts'
export * from './consistency.ts'
export * from './cosignature.ts'
export * from './entry-bundle.ts'
export * from './error.ts'
export * from './hash.ts'
export * from './inclusion.ts'
export * from './note.ts'
export * from './note-key.ts'
export * from './subtree.ts'
export * from './tile.ts'
export * from './tile-tree.ts'
export * from './tlog-proof.ts'
export * from './witness-policy.ts'
