/**
 * Keys that are published on purpose, and a small log to take receipts from.
 *
 * @module
 */
import { buildConsistencyProof } from '../../merkle/consistency.ts'
import { type Hash, hashLeaf, sha256 } from '../../merkle/hash.ts'
import { buildInclusionProof } from '../../merkle/inclusion.ts'
import {
  importSigningKey,
  importVerificationKey,
  type PrivateJwk,
  parsePrivateJwk,
  publicJwkOf,
} from '../../statement/index.ts'
import { lookupIn, mth } from '../merkle/rfc-tree.ts'

/** The P-256 key of RFC 7515 A.3. */
export const ES256_JWK = parsePrivateJwk({
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
})

/** The P-256 key "11" of cose-wg/Examples. */
export const OTHER_ES256_JWK = parsePrivateJwk({
  kty: 'EC',
  crv: 'P-256',
  x: 'usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8',
  y: 'IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4',
  d: 'V8kgd2ZBRuh2dgyVINBUqpPDr7BOMGcF22CQMIUHtNM',
})

/** The Ed25519 key of RFC 8037 A.1, which is the first of RFC 8032 §7.1. */
export const ED25519_JWK = parsePrivateJwk({
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
})

/** The X25519 keys of RFC 7748 §6.1, Alice's and Bob's. */
export const X25519_JWK = parsePrivateJwk({
  kty: 'OKP',
  crv: 'X25519',
  x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo',
  d: 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo',
})
export const OTHER_X25519_JWK = parsePrivateJwk({
  kty: 'OKP',
  crv: 'X25519',
  x: '3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08',
  d: 'XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os',
})

export const keysOf = async (jwk: PrivateJwk) => ({
  signing: await importSigningKey(jwk),
  verification: await importVerificationKey(publicJwkOf(jwk)),
})

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** `bytes` with one bit turned. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at]! ^= 1
  return copy
}

/** A log of 32-byte entries, by the RFC's own definitions. */
export function treeOf(entries: readonly Hash[]) {
  const leaves = entries.map(hashLeaf)
  return {
    root: (size: number): Hash => mth(leaves.slice(0, size)),
    inclusion: (index: number, size: number) => buildInclusionProof(index, size, lookupIn(leaves)),
    consistency: (size1: number, size2: number) => buildConsistencyProof(size1, size2, lookupIn(leaves)),
  }
}

export const someEntries = (count: number): Hash[] =>
  Array.from({ length: count }, (_, i) => sha256(utf8(`entry ${i}`)))
