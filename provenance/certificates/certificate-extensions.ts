/**
 * Extensions of certificates (RFC 5280 §4.2): those that path checking looks at.
 *
 *   Extension ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { decodeLogReference, LOG_REFERENCE_OID, type LogReference } from '../log-reference.ts'
import {
  checkUnread,
  type DerElement,
  DerReader,
  derBoolean,
  derNamedBits,
  derOid,
  derSerial,
  derSmallUnsigned,
  readDer,
  TAG,
} from './der.ts'
import { type GeneralName, readGeneralName } from './general-name.ts'
import { MAX_NAMES, type NameConstraints, readNameConstraints } from './name-constraints.ts'

export interface Extensions {
  /** Alternative names, in order. Never split from text: a comma inside one would make two of them. */
  readonly names: readonly GeneralName[]
  /** Those of them that are URIs. */
  readonly uris: readonly string[]
  readonly criticalAltName: boolean
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number }
  readonly keyUsage?: ReadonlySet<KeyUsage>
  readonly criticalKeyUsage?: boolean
  /** OIDs of extKeyUsage. */
  readonly purposes?: readonly string[]
  readonly nameConstraints?: NameConstraints
  /** Hex. */
  readonly subjectKeyId?: string
  readonly authorityKeyId?: AuthorityKeyId
  /** Which entry of which log announced it. */
  readonly logReference?: LogReference
  /** OIDs of the extensions that restrict what follows and that we do not process. */
  readonly unprocessed: readonly string[]
}

export type KeyUsage = 'digitalSignature' | 'keyCertSign' | 'cRLSign' | 'other'

/** Which certificate issued this one: by its key, or by who issued that one under which serial number. */
export interface AuthorityKeyId {
  readonly keyId?: string
  readonly issuer?: readonly GeneralName[]
  readonly serial?: string
}

/** @throws {@link ProvenanceError} `malformed_der`, `malformed_credential` */
export function readExtensions(wrapper: DerElement | undefined): Extensions {
  const found: { -readonly [K in keyof Extensions]: Extensions[K] } = {
    names: [],
    uris: [],
    criticalAltName: false,
    unprocessed: [],
  }
  const unprocessed: string[] = []
  const seen = new Set<string>()
  const list = wrapper ? new DerReader(readDer(wrapper.content, TAG.sequence).content) : new DerReader(new Uint8Array())
  while (!list.done) {
    const { oid, critical, value } = readExtension(list.sequence())
    // RFC 5280 §4.2: at most one of each. With two, readers would disagree on which counts.
    if (seen.has(oid)) throw refuse(`two extensions ${oid}`)
    seen.add(oid)

    if (oid === OID.subjectAltName) {
      found.names = generalNamesOf(readDer(value, TAG.sequence).content)
      found.uris = found.names.flatMap((name) => (name.kind === 'uri' ? [name.text] : []))
      found.criticalAltName = critical
    } else if (oid === OID.basicConstraints) found.basicConstraints = basicConstraintsOf(value)
    else if (oid === OID.keyUsage) {
      found.keyUsage = keyUsageOf(value)
      found.criticalKeyUsage = critical
    } else if (oid === OID.extKeyUsage) found.purposes = purposesOf(value)
    else if (oid === OID.nameConstraints) found.nameConstraints = readNameConstraints(value)
    else if (oid === OID.subjectKeyId) found.subjectKeyId = toHex(readDer(value, TAG.octetString).content)
    else if (oid === OID.authorityKeyId) found.authorityKeyId = authorityKeyIdOf(value)
    // One that is critical is not of ours: it is left to whoever processes critical extensions.
    else if (oid === LOG_REFERENCE_OID && !critical) found.logReference = decodeLogReference(value)
    // A list of policies restricts nothing by itself: only policyConstraints make anything of it.
    else if (oid === OID.certificatePolicies) checkUnread(readDer(value, TAG.sequence))
    // Those must be critical (§4.2.1.11). Where a CA forgot that, ignoring them would still widen its reach.
    else if (critical || oid === OID.policyConstraints) unprocessed.push(oid)
  }
  return { ...found, unprocessed }
}

/** @throws {@link ProvenanceError} `malformed_der`, `malformed_credential` */
export function readExtension(extension: DerReader): { oid: string; critical: boolean; value: Uint8Array } {
  const oid = derOid(extension.next(TAG.oid))
  const flag = extension.optional(TAG.boolean)
  const critical = flag !== undefined && derBoolean(flag)
  if (flag && !critical) throw refuse('a DEFAULT that is written out')
  const value = extension.next(TAG.octetString).content
  extension.end()
  return { oid, critical, value }
}

function basicConstraintsOf(value: Uint8Array): { ca: boolean; pathLength?: number } {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const flag = reader.optional(TAG.boolean)
  const ca = flag !== undefined && derBoolean(flag)
  if (flag && !ca) throw refuse('a DEFAULT that is written out')
  const length = reader.optional(TAG.integer)
  reader.end()
  return { ca, ...(length ? { pathLength: derSmallUnsigned(length) } : {}) }
}

function keyUsageOf(value: Uint8Array): ReadonlySet<KeyUsage> {
  const names: Record<number, KeyUsage> = { 0: 'digitalSignature', 5: 'keyCertSign', 6: 'cRLSign' }
  return new Set([...derNamedBits(readDer(value))].map((bit) => names[bit] ?? 'other'))
}

function purposesOf(value: Uint8Array): string[] {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const purposes: string[] = []
  while (!reader.done) purposes.push(derOid(reader.next(TAG.oid)))
  if (purposes.length === 0) throw refuse('an empty extKeyUsage')
  return purposes
}

/** None where there is no key identifier in it. */
function authorityKeyIdOf(value: Uint8Array): AuthorityKeyId {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const [keyId, issuer, serial] = [0x80, 0xa1, 0x82].map((tag) => reader.optional(tag)?.content)
  reader.end()
  if ((issuer === undefined) !== (serial === undefined)) throw refuse('half of an authority: its issuer or its serial')
  const names = issuer && generalNamesOf(issuer)
  return {
    ...(keyId && { keyId: toHex(keyId) }),
    ...(names && serial && { issuer: names, serial: derSerial({ tag: TAG.integer, content: serial, whole: serial }) }),
  }
}

/** GeneralNames, without their own tag. */
function generalNamesOf(content: Uint8Array): GeneralName[] {
  const names: GeneralName[] = []
  for (const reader = new DerReader(content); !reader.done; ) {
    if (names.length === MAX_NAMES) throw refuse(`more than ${MAX_NAMES} names`)
    names.push(readGeneralName(reader.next()))
  }
  return names
}

const OID = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', `certificate: ${why}`)
}
