/**
 * `.provlog`: everything that the verification of one credential needs, in one file, for whoever is offline.
 *
 *     { "v": 1,
 *       "credential": h'…32',                   what it is about
 *       "origin": "log.example",
 *       "checkpoint": "log.example\n42\n…",     signed note; every receipt leads to its root
 *       "statements": [h'd2…', …],              transparent statements, the credential-provenance first
 *       "wraps": {"<entry, hex>": [h'7b…', …]} }  keys of sealed sections, for those who can open them
 *
 * Nothing in it is believed because it is in it.
 *
 * @module
 */
import { EvidenceError } from '../merkle/error.ts'
import type { Hash } from '../merkle/hash.ts'
import { decodeCbor, encodeCbor } from '../statement/cbor.ts'
import { ProvenanceError } from './error.ts'
import { bytes, dictionary, list, map, text, uint } from './schema.ts'

export interface Bundle {
  readonly origin: string
  /** A signed note. */
  readonly checkpoint: string
  /** Transparent statements, 1 to {@link MAX_BUNDLE_STATEMENTS}. The first is the `credential-provenance`. */
  readonly statements: readonly Uint8Array[]
  /** By entry in lower-case hex. */
  readonly wraps: ReadonlyMap<string, readonly Uint8Array[]>
  /** SHA-256 of the credential. */
  readonly credentialDigest: Hash
}

export const BUNDLE_MEDIA_TYPE = 'application/vnd.provlog.bundle+cbor'
export const MAX_BUNDLE_BYTES = 8 * 1024 * 1024
export const MAX_BUNDLE_STATEMENTS = 128

/** @throws {@link ProvenanceError} `malformed_bundle` for one that {@link decodeBundle} would refuse */
export function encodeBundle({ credentialDigest, ...rest }: Bundle): Uint8Array {
  const encoded = encodeCbor(schema.encode({ v: 1, credential: credentialDigest, ...rest }))
  decodeBundle(encoded)
  return encoded
}

/** @throws {@link ProvenanceError} `malformed_bundle` */
export function decodeBundle(encoded: Uint8Array): Bundle {
  try {
    const value = decodeCbor(encoded, { maxBytes: MAX_BUNDLE_BYTES })
    const { v, credential, ...rest } = schema.decode(value, '')
    if (v !== 1) throw new ProvenanceError('malformed_bundle', `version ${v} of bundles is unknown here`)
    for (const entry of rest.wraps.keys()) {
      if (!/^[0-9a-f]{64}$/.test(entry)) throw new ProvenanceError('malformed_bundle', 'wraps are by entry in hex')
    }
    return { ...rest, credentialDigest: credential }
  } catch (error) {
    if (!(error instanceof EvidenceError) || error.code === 'malformed_bundle') throw error
    throw new ProvenanceError('malformed_bundle', error.message, { cause: error })
  }
}

const item = bytes({ max: MAX_BUNDLE_BYTES })
const schema = map({
  required: {
    v: uint(),
    credential: bytes(32),
    origin: text(),
    checkpoint: text({ max: 64 * 1024, lines: true }),
    statements: list(item, { min: 1, max: MAX_BUNDLE_STATEMENTS }),
    wraps: dictionary(list(item, { min: 1, max: 64 }), { max: MAX_BUNDLE_STATEMENTS }),
  },
})
