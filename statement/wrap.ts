/**
 * Wraps: how the keys of sealed sections reach the people who may read them. One JWE for one recipient.
 *
 *     {"protected": {"enc": "A256GCM", "typ": "provlog-wrap+jwe", "epk": …},                  (base64url)
 *      "recipients": [{"header": {"alg": "ECDH-ES+A256KW", "kid": …}, "encrypted_key": …}], "iv": …, …}
 *
 *     plaintext  CBOR {"id": record id, "keys": {label: CEK, …}}              the sections this recipient may read
 *
 * Wraps travel in a statement's unprotected header when it is submitted, are stored beside the log and are no part of an entry.
 * So recipients can be added later, and destroying all wraps of a record erases it. Nobody signs a wrap, and nobody needs to:
 * a wrong key inside is found out by the section's commitment (`seal.ts`).
 *
 * @module
 */
import { checkRecipient, decryptJwe, encryptJwe, type Jwe } from '#jwe'
import { equalBytes, fromUtf8, utf8 } from '../merkle/bytes.ts'
import { asArray, asBytes, asMap, type CborMap, type CborValue, decodeCbor, encodeCbor } from './cbor.ts'
import { kidOf, type PrivateJwk, type PublicJwk, publicJwkOf } from './cose-key.ts'
import { decodeCoseSign1, encodeCoseSign1 } from './cose-sign1.ts'
import { readingAs, StatementError } from './error.ts'
import { type SignedStatement, withUnprotected } from './signed-statement.ts'

/** The unprotected header in which a statement brings its wraps: an array of byte strings. */
export const WRAPS_LABEL = 'provlog-wraps'

export const MAX_WRAPS = 64
export const MAX_WRAP_BYTES = 16_384

/**
 * Wraps `keys` for one recipient.
 *
 * @param recipient an X25519 or P-256 key
 * @returns the UTF-8 bytes of a General JWE
 * @throws {@link StatementError} `unsupported_key` for a key that only signs
 */
export async function wrapKeys(
  recordId: Uint8Array,
  keys: ReadonlyMap<string, Uint8Array>,
  recipient: PublicJwk,
): Promise<Uint8Array> {
  const plaintext = encodeCbor(
    new Map<string, CborValue>([
      ['id', recordId],
      ['keys', keys],
    ]),
  )
  return utf8(JSON.stringify(await encryptJwe(plaintext, recipient, { typ: TYP, kid: kidOf(recipient) })))
}

/**
 * Opens a wrap. The keys are whatever its maker put there: hold each against the commitment of its section, and the record id
 * against the record.
 *
 * @throws {@link StatementError} `malformed_wrap`, `wrong_recipient`, `unsupported_key`
 */
export async function unwrapKeys(
  wrap: Uint8Array,
  recipient: PrivateJwk,
): Promise<{ recordId: Uint8Array; keys: ReadonlyMap<string, Uint8Array> }> {
  const jwe = parseWrap(wrap)
  const kid = kidOf(publicJwkOf(recipient))
  checkRecipient(recipient)
  if (jwe.recipients[0].header.kid !== kid)
    throw new StatementError('wrong_recipient', `a wrap for another key than ${kid}`)
  const { plaintext, typ } = await decryptJwe(jwe, recipient)
  if (typ !== TYP) throw new StatementError('malformed_wrap', 'a JWE that is no wrap')
  return readingAs('malformed_wrap', () => {
    const content = asMap(decodeCbor(plaintext), 'a wrap')
    const keys = new Map<string, Uint8Array>()
    for (const [label, cek] of asMap(content.get('keys'), 'the keys of a wrap')) {
      if (typeof label !== 'string') throw new StatementError('malformed_wrap', 'a label that is no text')
      keys.set(label, asBytes(cek, 'a key in a wrap', 32))
    }
    return { recordId: asBytes(content.get('id'), 'the record id of a wrap', 16), keys }
  })
}

/** Whom the wrap says it is for: the `kid` of its one recipient; undefined when it is no wrap at all. Nobody vouches for it. */
export function wrapRecipientKid(wrap: Uint8Array): string | undefined {
  try {
    return parseWrap(wrap).recipients[0].header.kid
  } catch {
    return undefined
  }
}

/**
 * The statement with `wraps` added to those it brings.
 *
 * @throws {@link StatementError} `too_large` past 64 wraps; what decoding throws
 */
export function attachWraps(statementBytes: Uint8Array, wraps: readonly Uint8Array[]): Uint8Array {
  const sign1 = decodeCoseSign1(statementBytes, { maxBytes: Number.POSITIVE_INFINITY })
  const all = [...wrapsIn(sign1.unprotected)]
  for (const wrap of wraps) if (!all.some((known) => equalBytes(known, wrap))) all.push(wrap)
  checkCount(all)
  const unprotected = new Map(sign1.unprotected)
  if (all.length > 0) unprotected.set(WRAPS_LABEL, all)
  return encodeCoseSign1({ ...sign1, unprotected })
}

/** As {@link attachWraps}, for a statement that was just made and brings none. @throws {@link StatementError} `too_large` */
export function withWraps(statement: SignedStatement, wraps: readonly Uint8Array[]): Uint8Array {
  if (wraps.length === 0) return statement.bytes
  checkCount(wraps)
  return withUnprotected(statement, new Map([[WRAPS_LABEL, wraps]]))
}

/**
 * The wraps that a statement's unprotected header brings, which may be none; each is short enough, and nothing else is known of it.
 *
 * @throws {@link StatementError} `malformed_wrap`, `too_large`
 */
export function wrapsIn(unprotected: CborMap): readonly Uint8Array[] {
  if (!unprotected.has(WRAPS_LABEL)) return []
  return readingAs('malformed_wrap', () => {
    const wraps = asArray(unprotected.get(WRAPS_LABEL), 'the wraps of a statement').map((wrap) =>
      asBytes(wrap, 'a wrap'),
    )
    checkCount(wraps)
    return wraps
  })
}

const TYP = 'provlog-wrap+jwe'

function parseWrap(wrap: Uint8Array): Jwe {
  checkLength(wrap)
  let jwe: Partial<Jwe> | null
  try {
    jwe = JSON.parse(fromUtf8(wrap)) as Partial<Jwe> | null
  } catch (cause) {
    throw new StatementError('malformed_wrap', 'a wrap that is no JSON', { cause })
  }
  const recipients: unknown = jwe?.recipients
  if (!Array.isArray(recipients) || recipients.length !== 1)
    throw new StatementError('malformed_wrap', 'not one recipient')
  const kid: unknown = (recipients[0] as Partial<Jwe['recipients'][0]> | null)?.header?.kid
  if (typeof kid !== 'string') throw new StatementError('malformed_wrap', 'a recipient without a kid')
  return jwe as Jwe
}

function checkCount(wraps: readonly Uint8Array[]): void {
  if (wraps.length > MAX_WRAPS) throw new StatementError('too_large', `more than ${MAX_WRAPS} wraps on one statement`)
  for (const wrap of wraps) checkLength(wrap)
}

function checkLength(wrap: Uint8Array): void {
  if (wrap.length > MAX_WRAP_BYTES) throw new StatementError('too_large', `a wrap of more than ${MAX_WRAP_BYTES} bytes`)
}
