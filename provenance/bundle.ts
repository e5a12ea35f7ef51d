/**
 * `.provlog`: everything that the verification of one credential needs, in one file, for whoever is offline.
 *
 *     { "v": 1,
 *       "credential": h'…32',                   what it is about
 *       "origin": "log.example",
 *       "checkpoint": "log.example\n42\n…",     signed note; every receipt leads to its root
 *       "statements": [h'd2…', …],              transparent statements, the credential-provenance first
 *       "wraps": {"<entry, hex>": [h'7b…', …]},   keys of sealed sections, for those who can open them
 *       "sum": h'…32' }                         SHA-256 of this map without "sum"
 *
 * Nothing in it is believed because it is in it. The sum is no exception: anybody can compute it. It tells damage apart from
 * evidence that does not hold, and covers the wraps, which nothing signs because they may be added and destroyed later.
 *
 * @module
 */
import { equalBytes } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import { decodeCbor, encodeCbor } from '../statement/cbor.ts'
import { ProvenanceError } from './error.ts'
import { bytes, dictionary, type Infer, list, map, text, uint } from './schema.ts'

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
  const content = { v: 1, credential: credentialDigest, ...rest }
  const encoded = encodeCbor(schema.encode({ ...content, sum: sumOf(content) }))
  decodeBundle(encoded)
  return encoded
}

/** @throws {@link ProvenanceError} `malformed_bundle`; `damaged_bundle` when the sum is of other content */
export function decodeBundle(encoded: Uint8Array): Bundle {
  const { sum, ...content } = readBundle(encoded)
  const { v, credential, ...rest } = content
  if (v !== 1) throw new ProvenanceError('malformed_bundle', `version ${v} of bundles is unknown here`)
  for (const entry of rest.wraps.keys()) {
    if (!/^[0-9a-f]{64}$/.test(entry)) throw new ProvenanceError('malformed_bundle', 'wraps are by entry in hex')
  }
  if (!equalBytes(sum, sumOf(content))) {
    throw new ProvenanceError('damaged_bundle', 'these are not the bytes that were written: the sum is of others')
  }
  return { ...rest, credentialDigest: credential }
}

function readBundle(encoded: Uint8Array): Infer<typeof schema> {
  try {
    return schema.decode(decodeCbor(encoded, { maxBytes: MAX_BUNDLE_BYTES }), '')
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw new ProvenanceError('malformed_bundle', error.message, { cause: error })
  }
}

const item = bytes({ max: MAX_BUNDLE_BYTES })
const content = {
  v: uint(),
  credential: bytes(32),
  origin: text(),
  checkpoint: text({ max: 64 * 1024, lines: true }),
  statements: list(item, { min: 1, max: MAX_BUNDLE_STATEMENTS }),
  wraps: dictionary(list(item, { min: 1, max: 64 }), { max: MAX_BUNDLE_STATEMENTS }),
}
const contentSchema = map({ required: content })
const schema = map({ required: { ...content, sum: bytes(32) } })

function sumOf(value: Infer<typeof contentSchema>): Hash {
  return sha256(encodeCbor(contentSchema.encode(value)))
}
