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
import { equalBytes } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import { ProvenanceError } from '../error.ts'
import { bytes, dictionary, type Infer, list, map, text, uint } from '../schema.ts'

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
  const value = schema.encode({ v: 1, credential: credentialDigest, ...rest, sum: new Uint8Array(32) })
  const encoded = encodeCbor(value)
  if (encoded.length > MAX_BUNDLE_BYTES) throw new ProvenanceError('malformed_bundle', 'longer than a bundle may be')
  readContent(() => value)
  encoded.set(sumOf(encoded), SUM_AT + 6)
  return encoded
}

/** @throws {@link ProvenanceError} `malformed_bundle`; `damaged_bundle` when the sum is of other content */
export function decodeBundle(encoded: Uint8Array): Bundle {
  const { v: _v, credential, sum, ...rest } = readContent(() => decodeCbor(encoded, { maxBytes: MAX_BUNDLE_BYTES }))
  if (!equalBytes(sum, sumOf(encoded))) {
    throw new ProvenanceError('damaged_bundle', 'these are not the bytes that were written: the sum is of others')
  }
  return { ...rest, credentialDigest: credential }
}

function readContent(read: () => CborValue): Infer<typeof schema> {
  let content: Infer<typeof schema>
  try {
    content = schema.decode(read(), '')
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw new ProvenanceError('malformed_bundle', error.message, { cause: error })
  }
  if (content.v !== 1) throw new ProvenanceError('malformed_bundle', `version ${content.v} of bundles is unknown here`)
  for (const entry of content.wraps.keys()) {
    if (!/^[0-9a-f]{64}$/.test(entry)) throw new ProvenanceError('malformed_bundle', 'wraps are by entry in hex')
  }
  return content
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
    sum: bytes(32),
  },
})

/** Where a map of these keys has its "sum" in deterministic encoding: behind `a7 61 'v' 01`, and 38 bytes long, the last 32 its value. */
const SUM_AT = 4
const SUM_LENGTH = 38

/** Over the encoding of the map without its "sum". @param encoded - of version 1, as it was read or will be */
function sumOf(encoded: Uint8Array): Hash {
  const bytes = new Uint8Array(encoded.length - SUM_LENGTH)
  bytes.set(encoded.subarray(0, SUM_AT))
  bytes[0]!--
  bytes.set(encoded.subarray(SUM_AT + SUM_LENGTH), SUM_AT)
  return sha256(bytes)
}
