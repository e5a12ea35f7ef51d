/**
 * The bundles of several credentials in one answer: what they share is in it once.
 *
 *     { "v": 1,
 *       "origin": "log.example",
 *       "checkpoint": "log.example\n42\n…",          signed note, the same for all
 *       "statements": [ {"entry": h'…32',             transparent statements, each with the wraps beside it
 *                        "statement": h'd2…', "wraps": [h'7b…']}, … ],
 *       "bundles": [ [0, 3, 4], {-1: "Not Found", …}, … ] }     for each credential asked about, in that order: the places of
 *                                                    its statements, its credential-provenance first; or why it has no bundle
 *
 * It travels and is not kept: whoever got it makes the bundles out of it and has each verified. Credentials of one issuer rest on the same
 * policies, keys and log records, so a log gathers, proves and sends these for all of them together.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import { ProvenanceError } from '../error.ts'
import { bytes, list, map, type Schema, text, uint } from '../schema.ts'
import { type Bundle, MAX_BUNDLE_STATEMENTS } from './bundle.ts'

/** One statement of a set. */
export interface BundledStatement {
  /** What it is registered as. Nobody has compared: in the bundle it says which wraps are whose, and a wrong one opens nothing. */
  readonly entry: Hash
  readonly statement: Uint8Array
  readonly wraps: readonly Uint8Array[]
}

/** Bundles, or in the place of one the problem details (RFC 9290) of why there is none, encoded. */
export interface BundleSet {
  readonly origin: string
  readonly checkpoint: string
  readonly statements: readonly BundledStatement[]
  readonly bundles: readonly (readonly number[] | Uint8Array)[]
}

export const BUNDLE_SET_MEDIA_TYPE = 'application/vnd.provlog.bundles+cbor'
/** Credentials that one set can be about. */
export const MAX_BUNDLES = 250
/** Of statements and wraps; with {@link MAX_BUNDLES} paths and places a set is at most {@link MAX_BUNDLE_SET_BYTES} long. */
export const MAX_BUNDLED_BYTES = 16 * 1024 * 1024
export const MAX_BUNDLE_SET_BYTES = 24 * 1024 * 1024

export function encodeBundleSet({ bundles, ...rest }: BundleSet): Uint8Array {
  const statements = rest.statements.map(({ entry, statement, wraps }) => ({
    entry,
    statement,
    ...(wraps.length > 0 && { wraps }),
  }))
  return encodeCbor(schema.encode({ v: 1, ...rest, statements, bundles }))
}

/**
 * Statements and wraps in it are views of `encoded`.
 *
 * @throws {@link ProvenanceError} `malformed_bundle`
 */
export function decodeBundleSet(encoded: Uint8Array): BundleSet {
  const { v, ...set } = read(encoded)
  if (v !== 1) throw new ProvenanceError('malformed_bundle', `version ${v} of bundle sets is unknown here`)
  for (const places of set.bundles) {
    if (places instanceof Uint8Array) continue
    if (places.some((place) => place >= set.statements.length)) {
      throw new ProvenanceError('malformed_bundle', 'a bundle of a statement that is not in the set')
    }
  }
  return { ...set, statements: set.statements.map((each) => ({ wraps: [], ...each })) }
}

/** The bundle of these statements of a set, for the credential that it is about. */
export function bundleIn(set: Omit<BundleSet, 'bundles'>, places: readonly number[], credentialDigest: Hash): Bundle {
  const chosen = places.map((place) => set.statements[place]!)
  return {
    credentialDigest,
    origin: set.origin,
    checkpoint: set.checkpoint,
    statements: chosen.map(({ statement }) => statement),
    wraps: new Map(
      chosen
        .filter(({ wraps }) => wraps.length > 0)
        .map(({ entry, wraps }): [string, typeof wraps] => [toHex(entry), wraps]),
    ),
  }
}

function read(encoded: Uint8Array) {
  try {
    return schema.decode(decodeCbor(encoded, { maxBytes: MAX_BUNDLE_SET_BYTES, maxItems: MAX_ITEMS, views: true }), '')
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw new ProvenanceError('malformed_bundle', error.message, { cause: error })
  }
}

/** As many places, and four items for each statement and its wraps. */
const MAX_ITEMS = 8 * MAX_BUNDLES * MAX_BUNDLE_STATEMENTS
const item = bytes({ max: MAX_BUNDLED_BYTES })
const places = list(uint(), { min: 1, max: MAX_BUNDLE_STATEMENTS })

/** An array of places; or a map, as it was encoded. */
const outcome: Schema<readonly number[] | Uint8Array> = {
  decode: (value, path) => (value instanceof Map ? encodeCbor(value) : places.decode(value, path)),
  encode: (value): CborValue => (value instanceof Uint8Array ? decodeCbor(value) : places.encode(value)),
}

const schema = map({
  required: {
    v: uint(),
    origin: text(),
    checkpoint: text({ max: 64 * 1024, lines: true }),
    statements: list(
      map({ required: { entry: bytes(32), statement: item }, optional: { wraps: list(item, { min: 1, max: 64 }) } }),
      { max: MAX_BUNDLES * MAX_BUNDLE_STATEMENTS },
    ),
    bundles: list(outcome, { min: 1, max: MAX_BUNDLES }),
  },
})
