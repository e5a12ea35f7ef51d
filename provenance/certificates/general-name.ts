/**
 * Names in certificates: the Name of a subject or issuer, and the GeneralName of an alternative name or a constraint (RFC 5280 §4.1.2.4,
 * §4.2.1.6).
 *
 *   Name        ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value text }
 *   GeneralName ::= [0] otherName  [1] rfc822Name  [2] dNSName  [4] directoryName  [6] URI  [7] iPAddress  [8] registeredID
 *
 * Names that we do not read must be names all the same: OpenSSL gives up on the whole extension otherwise, and sees nobody where we
 * see somebody. X.400 and EDI names, which nobody uses, are refused.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { checkUnread, type DerElement, DerReader, derOid, readDer, TAG } from './der.ts'

export type NameKind = 'other' | 'email' | 'dns' | 'directory' | 'uri' | 'ip' | 'registered'

export type GeneralName =
  | { readonly kind: 'email' | 'dns' | 'uri'; readonly text: string }
  /** A directory name is its DER: SEQUENCE and all. */
  | { readonly kind: 'ip' | 'directory' | 'other' | 'registered'; readonly bytes: Uint8Array }

/**
 * Reads a name, of a certificate or of a constraint on names: the forms are the same but for the lengths of addresses.
 *
 * @throws {@link ProvenanceError} `malformed_credential`, `malformed_der`
 */
export function readGeneralName({ tag, content }: DerElement): GeneralName {
  const text = TEXTS.get(tag)
  if (text) {
    if (content.some((byte) => byte >= 0x80)) throw refuse(`a name of kind ${text} that is not ASCII`)
    return { kind: text, text: fromUtf8(content) }
  }
  switch (tag) {
    case 0xa0: {
      const other = new DerReader(content)
      derOid(other.next(TAG.oid))
      checkUnread(readDer(other.next(0xa0).content))
      other.end()
      return { kind: 'other', bytes: content }
    }
    case 0xa4:
      return { kind: 'directory', bytes: checkName(readDer(content, TAG.sequence)) }
    case 0x87:
      return { kind: 'ip', bytes: content }
    case 0x88:
      derOid({ tag: TAG.oid, content, whole: content })
      return { kind: 'registered', bytes: content }
    default:
      throw refuse('an alternative name of no kind that is read')
  }
}

/** A Name as it stands, which others would take for a name too. It is compared and never shown. */
export function checkName(name: DerElement): Uint8Array {
  for (const part of partsOf(name.content)) {
    const attributes = new DerReader(part.content)
    do {
      const attribute = attributes.sequence()
      derOid(attribute.next(TAG.oid))
      const { tag, content } = attribute.next()
      attribute.end()
      if (!NAME_STRINGS.get(tag)?.(content)) throw refuse('a name that is not made of texts')
    } while (!attributes.done)
  }
  return name.whole
}

/**
 * The mailboxes in a Name, where they were before there were alternative names. Constraints on mailboxes are about these too
 * (§4.2.1.10): else whoever may give no mailbox of a domain would write it into the subject.
 *
 * @throws {@link ProvenanceError} `malformed_credential` for more than anybody has: each is compared with each constraint
 */
export function mailboxesOf(name: Uint8Array): GeneralName[] {
  const mailboxes: GeneralName[] = []
  for (const { content } of partsOf(readDer(name, TAG.sequence).content)) {
    for (const attributes = new DerReader(content); !attributes.done; ) {
      const attribute = attributes.sequence()
      if (derOid(attribute.next(TAG.oid)) !== EMAIL_ADDRESS) continue
      const { tag, content: text } = attribute.next()
      // Of another type than the standard's it is no mailbox that could be told from others, and passes no constraint.
      mailboxes.push({ kind: 'email', text: tag === TAG_IA5_STRING ? new TextDecoder().decode(text) : '' })
    }
  }
  if (mailboxes.length > MAX_MAILBOXES) throw refuse('a subject with too many mailboxes')
  return mailboxes
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'
const TAG_IA5_STRING = 0x16
const MAX_MAILBOXES = 16

/** The RelativeDistinguishedNames of a Name, the widest first. */
export function partsOf(content: Uint8Array): DerElement[] {
  const parts: DerElement[] = []
  for (const reader = new DerReader(content); !reader.done; ) parts.push(reader.next(TAG.set))
  return parts
}

const TEXTS: ReadonlyMap<number, 'email' | 'dns' | 'uri'> = new Map([
  [0x81, 'email'],
  [0x82, 'dns'],
  [0x86, 'uri'],
])

/** By tag: UTF8String, PrintableString, TeletexString, IA5String, UniversalString, BMPString. */
const NAME_STRINGS: ReadonlyMap<number, (content: Uint8Array) => boolean> = new Map([
  [0x0c, isUtf8],
  [0x13, () => true],
  [0x14, () => true],
  [0x16, () => true],
  [0x1c, ({ length }) => length % 4 === 0],
  [0x1e, ({ length }) => length % 2 === 0],
])

function isUtf8(bytes: Uint8Array): boolean {
  try {
    fromUtf8(bytes)
    return true
  } catch {
    return false
  }
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_credential', `certificate: ${why}`)
}
