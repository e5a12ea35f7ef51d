/**
 * Conceptual Message Wrappers (draft-ietf-rats-msg-wrap-23): evidence, results and endorsements with their media types, alone or collected.
 *
 *     record       ["application/eat+jwt", "<base64url>", 4]     [263, h'…', 4]     tag 1668546817 + …(h'…')
 *     collection   { "__cmwc_t": "tag:…", "cpu": record, "gpu": record, "rack": { … } }
 *
 * JSON or CBOR. A certificate may carry one too (id-pe-cmw), which says nothing about who vouches for it. Nothing here is believed: it is taken apart,
 * and each piece is appraised as what it is.
 *
 * @module
 */
import { EvidenceError, fromBase64url, fromUtf8 } from '../../../merkle/index.ts'
import { decodeLooseCbor, type LooseCbor, LooseTag } from '../../../provenance/attestation/loose-cbor.ts'
import { readDer, TAG } from '../../../provenance/certificates/der.ts'
import { isJsonObject, type Json, parseJson } from '../../../provenance/index.ts'
import { malformedEvidence, type VerifierError } from '../error.ts'
import { readVendorCertificate } from './hardware/vendor-certificate.ts'

/** Bits of `ind` (§3.1). */
export const CMW = {
  referenceValues: 1,
  endorsements: 2,
  evidence: 4,
  attestationResults: 8,
  appraisalPolicy: 16,
} as const
const ALL_BITS = 31

export interface CmwRecord {
  /** A media type, or the number that CoAP has for one. */
  readonly type: string | number
  readonly value: Uint8Array
  /** What it is, as {@link CMW} bits; undefined where only the type tells. */
  readonly ind?: number
}

export interface CmwCollection {
  /** `__cmwc_t`: what the members are to each other. */
  readonly type?: string
  /** By label; at least one. */
  readonly members: ReadonlyMap<string, Cmw>
}

export type Cmw = CmwRecord | CmwCollection

/** Collections in collections, and records in all of them. */
const MAX_DEPTH = 4
const MAX_RECORDS = 64
const MAX_BYTES = 1024 * 1024
const COLLECTION_TYPE = '__cmwc_t'
const ID_PE_CMW = '1.3.6.1.5.5.7.1.35'

/**
 * Takes a wrapper apart; undefined for bytes that are none: evidence needs no wrapper.
 *
 * @throws {@link VerifierError} `malformed_evidence` for what has the form of a wrapper and breaks its rules
 */
export function readCmw(bytes: Uint8Array): Cmw | undefined {
  if (bytes.length > MAX_BYTES) return undefined
  const found = treeOf(bytes)
  return found && isWrapper(found.tree) ? read(found.tree, { isCbor: found.isCbor, records: 0 }, 0) : undefined
}

/** The records of a wrapper with their labels, those of nested collections after those of the outer ones; undefined for a record alone. */
export function recordsOf(cmw: Cmw, path: readonly string[] = []): [label: string | undefined, record: CmwRecord][] {
  if ('value' in cmw) return [[path.length === 0 ? undefined : path.join('/'), cmw]]
  return [...cmw.members].flatMap(([label, member]) => recordsOf(member, [...path, label]))
}

/** JSON and CBOR in one shape: binary values as bytes in CBOR, as base64url text in JSON. */
type Tree = LooseCbor | Json

interface Found {
  readonly tree: Tree
  readonly isCbor: boolean
}

const fromJson = (bytes: Uint8Array): Found => ({ tree: parseJson(fromUtf8(bytes)), isCbor: false })
const fromCbor = (bytes: Uint8Array): Found => ({ tree: decodeLooseCbor(bytes), isCbor: true })

function treeOf(bytes: Uint8Array): Found | undefined {
  const [first = 0, second = 0] = bytes
  try {
    // A SEQUENCE of more than 127 bytes: a certificate, if anything that is read here.
    if (first === TAG.sequence && second >= 0x80) return fromCertificate(bytes)
    // A JSON array or object, after white space at most.
    if (/^\s*[[{]/.test(String.fromCharCode(...bytes.subarray(0, 16)))) return fromJson(bytes)
    // An array, a map or a tag.
    if (first >= 0x80 && first <= 0xdf) return fromCbor(bytes)
  } catch (error) {
    // What cannot be read is no wrapper. Whether it is evidence, the format knows that was asked for.
    if (!(error instanceof EvidenceError)) throw error
  }
  return undefined
}

function fromCertificate(der: Uint8Array): Found | undefined {
  let extension: Uint8Array | undefined
  try {
    extension = readVendorCertificate(der).extensions.get(ID_PE_CMW)
  } catch {
    return undefined
  }
  if (!extension) return undefined
  const choice = readDer(extension)
  if (choice.tag === UTF8_STRING) return fromJson(choice.content)
  return choice.tag === TAG.octetString ? fromCbor(choice.content) : undefined
}
const UTF8_STRING = 0x0c

/** By its form alone: so that a broken wrapper is called one. */
function isWrapper(tree: Tree): boolean {
  if (tree instanceof LooseTag) return isTag(tree.tag)
  if (Array.isArray(tree)) {
    const [type, value] = tree as readonly Tree[]
    const isBinary = typeof value === 'string' || value instanceof Uint8Array
    return isBinary && ((typeof type === 'string' && type.includes('/')) || typeof type === 'number')
  }
  const entries = entriesOf(tree)
  if (!entries || entries.length === 0) return false
  return entries.every(([label, value]) => (label === COLLECTION_TYPE ? typeof value === 'string' : isWrapper(value)))
}

function entriesOf(tree: Tree): (readonly [string | number, Tree])[] | undefined {
  if (tree instanceof Map) return [...(tree as ReadonlyMap<string | number, LooseCbor>)]
  return isJsonObject(tree as Json) ? Object.entries(tree as { readonly [label: string]: Json }) : undefined
}

interface Context {
  readonly isCbor: boolean
  records: number
}

function read(tree: Tree, context: Context, depth: number): Cmw {
  if (tree instanceof LooseTag || Array.isArray(tree)) {
    if (++context.records > MAX_RECORDS) throw malformed(`more than ${MAX_RECORDS} records`)
    return tree instanceof LooseTag ? readTag(tree) : readRecord(tree as readonly Tree[], context.isCbor)
  }
  if (depth === MAX_DEPTH) throw malformed(`collections nested deeper than ${MAX_DEPTH}`)
  let type: string | undefined
  const members = new Map<string, Cmw>()
  for (const [label, value] of entriesOf(tree)!) {
    if (label === COLLECTION_TYPE) {
      type = collectionType(value)
      continue
    }
    const name = String(label)
    // Labels become names of submodules, one of which might otherwise pass for a member of another collection.
    if (name.trim() === '' || name.length > 128 || name.includes('/'))
      throw malformed(`a label ${JSON.stringify(name).slice(0, 64)}`)
    if (members.has(name)) throw malformed(`${name} as a number and as a text`)
    members.set(name, read(value, context, depth + 1))
  }
  if (members.size === 0) throw malformed('a collection of nothing')
  return { ...(type === undefined ? {} : { type }), members }
}

/** An absolute URI, or an OID in dotted form. */
function collectionType(value: Tree): string {
  if (typeof value !== 'string' || !/^([A-Za-z][A-Za-z0-9+.-]*:[^\s]+|[0-2](\.(0|[1-9][0-9]*))+)$/.test(value)) {
    throw malformed(`${COLLECTION_TYPE} is neither an absolute URI nor an OID`)
  }
  return value
}

function readRecord(array: readonly Tree[], isCbor: boolean): CmwRecord {
  const [type, value, ind] = array
  if (array.length > 3) throw malformed(`a record of ${array.length} elements`)
  // §3.1: numbers are for CBOR.
  if (typeof type !== 'string' && !(isCbor && typeof type === 'number' && type >= 0 && type <= 0xffff)) {
    throw malformed('a type that is neither a media type nor a content format')
  }
  if (ind !== undefined && !(typeof ind === 'number' && ind > 0 && ind <= ALL_BITS)) {
    throw malformed('ind is not a set of the kinds that there are')
  }
  return { type, value: binary(value, isCbor), ...(ind === undefined ? {} : { ind: ind as number }) }
}

function binary(value: Tree | undefined, isCbor: boolean): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (isCbor || typeof value !== 'string') throw malformed('a value that is no bytes')
  try {
    return fromBase64url(value)
  } catch (cause) {
    throw malformedEvidence('a value that is not base64url', cause)
  }
}

/** RFC 9277 §4.3: content formats as tags, 255 of them in each 256. */
const FIRST_TAG = 0x6374_0101
const LAST_TAG = 0x6374_ffff

function isTag(tag: number): boolean {
  return tag >= FIRST_TAG && tag <= LAST_TAG
}

function readTag({ tag, value }: LooseTag): CmwRecord {
  const [high, low] = [(tag >> 8) & 0xff, tag & 0xff]
  if (low === 0 || !(value instanceof Uint8Array)) throw malformed(`tag ${tag} is no content format, or not of bytes`)
  return { type: (high - 1) * 255 + low - 1, value }
}

function malformed(why: string): VerifierError {
  return malformedEvidence(`a conceptual message wrapper: ${why}`)
}
