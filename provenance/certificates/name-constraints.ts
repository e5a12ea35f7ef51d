/**
 * Name constraints (RFC 5280 §4.2.1.10): for which names the holder of a CA certificate may issue.
 *
 *   NameConstraints ::= SEQUENCE { permittedSubtrees [0] OPTIONAL, excludedSubtrees [1] OPTIONAL }, each SEQUENCE OF { base GeneralName }
 *
 *   permitted URI  bank.example      spiffe://bank.example/payments, no other host
 *   permitted URI  .bank.example     spiffe://eu.bank.example/payments, not bank.example itself
 *   excluded  DNS  bank.example      neither bank.example nor anything under it
 *
 * They hold for every certificate below, of each kind of name for itself: a kind that no subtree is about stays free. What is not
 * decided here (other names, registered ids, a URI without a host) does not pass.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { type DerElement, DerReader, derOid, readDer, TAG } from './der.ts'
import { type GeneralName, partsOf, readGeneralName } from './general-name.ts'

export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** Of names in a certificate, and of subtrees in a constraint: each is compared with each. */
export const MAX_NAMES = 256

/** Reads the value of the extension. @throws {@link ProvenanceError} `malformed_credential`, `malformed_der` */
export function readNameConstraints(value: Uint8Array): NameConstraints {
  const reader = new DerReader(readDer(value, TAG.sequence).content)
  const [permitted, excluded] = [0xa0, 0xa1].map((tag) => subtreesOf(reader.optional(tag)?.content))
  reader.end()
  if (!permitted && !excluded) throw refuse('name constraints that constrain nothing')
  return { permitted: permitted ?? [], excluded: excluded ?? [] }
}

/**
 * @param names - alternative names, and the subject as a directory name when there is one
 * @throws {@link ProvenanceError} `name_not_permitted`
 */
export function checkNames(names: readonly GeneralName[], { permitted, excluded }: NameConstraints): void {
  for (const name of names) {
    const wanted = permitted.filter(({ kind }) => kind === name.kind)
    if (wanted.length > 0 && !wanted.some((base) => isWithin(name, base) === true)) throw notPermitted(name)
    // Undecided counts as excluded here, and above as not permitted.
    if (excluded.some((base) => base.kind === name.kind && (isWithin(name, base) !== false || covers(name, base)))) {
      throw notPermitted(name)
    }
  }
}

function subtreesOf(content: Uint8Array | undefined): GeneralName[] | undefined {
  if (!content) return undefined
  const subtrees: GeneralName[] = []
  for (const reader = new DerReader(content); !reader.done; ) {
    const subtree = reader.sequence()
    subtrees.push(readGeneralName(subtree.next()))
    // minimum is 0, which DER leaves out, and maximum absent (§4.2.1.10).
    subtree.end()
  }
  if (subtrees.length === 0) throw refuse('an empty list of name constraints')
  if (subtrees.length > MAX_NAMES) throw refuse('too many name constraints')
  return subtrees
}

/** Whether `name` is in the subtree; undefined when that cannot be told. Both are of one kind. */
function isWithin(name: GeneralName, base: GeneralName): boolean | undefined {
  if ('text' in name && 'text' in base)
    return TEXT_MATCHERS[name.kind](name.text.toLowerCase(), base.text.toLowerCase())
  if (!('bytes' in name && 'bytes' in base)) return undefined
  if (name.kind === 'ip') return isWithinNetwork(name.bytes, base.bytes)
  if (name.kind === 'directory') return isWithinDirectory(name.bytes, base.bytes)
  return undefined
}

const TEXT_MATCHERS: Record<'email' | 'dns' | 'uri', (name: string, base: string) => boolean | undefined> = {
  // Any labels in front, or none. What is no host name is within nothing and outside of nothing (§4.2.1.6).
  dns: (name, base) => {
    if (!HOST_NAME.test(name)) return undefined
    return base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`)
  },
  uri(name, base) {
    const host = hostOf(name)
    return host === undefined ? undefined : isHostWithin(host, base)
  },
  // One mailbox, one host, or any host in a domain.
  email(name, base) {
    const [mailbox, host, ...more] = name.split('@')
    if (!mailbox || !host || more.length > 0) return undefined
    return base.includes('@') ? name === base : isHostWithin(host, base)
  },
}

/** Labels of letters, digits, hyphens, and underscores, which are in use; the first may be a wildcard. */
const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/

/** Whether a wildcard stands for a name in the excluded subtree: `*.bank.example` is also `payments.bank.example`. */
function covers(name: GeneralName, base: GeneralName): boolean {
  if (name.kind !== 'dns' || base.kind !== 'dns' || !name.text.startsWith('*.')) return false
  return base.text.toLowerCase().endsWith(name.text.slice(1).toLowerCase())
}

/** Of URIs and mailboxes: one host, and with a dot in front every host under it, not itself. */
function isHostWithin(host: string, base: string): boolean {
  return base.startsWith('.') ? host.length > base.length && host.endsWith(base) : host === base
}

/** The host of a URI with an authority; undefined where RFC 5280 has the certificate refused: none, or an address. */
function hostOf(uri: string): string | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1]
  const host = authority?.replace(/^.*@/, '').replace(/:[0-9]*$/, '')
  if (!host || host.startsWith('[') || /^[0-9.]+$/.test(host)) return undefined
  return host
}

/** `base` is an address and a mask of the same length; of another family, it holds nothing. */
function isWithinNetwork(address: Uint8Array, base: Uint8Array): boolean | undefined {
  if (![4, 16].includes(address.length) || ![8, 32].includes(base.length)) return undefined
  if (base.length !== 2 * address.length) return false
  return address.every((byte, i) => ((byte ^ base[i]!) & base[address.length + i]!) === 0)
}

/** Whether a name begins with the parts of `base`. */
function isWithinDirectory(name: Uint8Array, base: Uint8Array): boolean | undefined {
  const [parts, wanted] = [canonicalParts(name), canonicalParts(base)]
  if (parts.length < wanted.length) return false
  let told = true
  for (const [i, { whole, canonical }] of wanted.entries()) {
    const ours = parts[i]!
    if (equalBytes(ours.whole, whole)) continue
    if (ours.canonical === undefined || canonical === undefined) told = false
    else if (ours.canonical !== canonical) return false
  }
  return told || undefined
}

interface Part {
  readonly whole: Uint8Array
  readonly canonical: string | undefined
}

/** Each name is compared with each subtree, and read once. */
const known = new WeakMap<Uint8Array, readonly Part[]>()

function canonicalParts(name: Uint8Array): readonly Part[] {
  const before = known.get(name)
  if (before) return before
  const elements = partsOf(readDer(name, TAG.sequence).content)
  const parts = elements.map((part) => ({ whole: part.whole, canonical: canonicalPart(part) }))
  known.set(name, parts)
  return parts
}

/** RFC 5280 §7.1: texts compare in any case and spacing, of whatever type. Undefined for types that are not Unicode. */
function canonicalPart({ content }: DerElement): string | undefined {
  const attributes: string[] = []
  for (const reader = new DerReader(content); !reader.done; ) {
    const attribute = reader.sequence()
    const type = derOid(attribute.next(TAG.oid))
    const value = attribute.next()
    if (!UNICODE.includes(value.tag)) return undefined
    const text = new TextDecoder().decode(value.content).normalize('NFKC').toLowerCase()
    attributes.push(`${type}=${text.trim().replace(/\s+/g, ' ')}`)
  }
  return JSON.stringify(attributes.toSorted())
}

/** UTF8String, PrintableString, IA5String. */
const UNICODE = [0x0c, 0x13, 0x16]

function notPermitted(name: GeneralName): ProvenanceError {
  const shown = 'text' in name ? ` ${JSON.stringify(name.text)}` : ''
  return new ProvenanceError('name_not_permitted', `the ${name.kind} name${shown} is not one that the issuer may give`)
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', `certificate: ${why}`)
}
