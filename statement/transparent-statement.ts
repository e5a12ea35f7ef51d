/**
 * A Transparent Statement (RFC 9943 §7): a Signed Statement that carries its receipts.
 *
 *     18([ protected, {394: [<< receipt >>, …]}, payload, signature ])
 *
 * The receipts are in the unprotected header, so emptying it gives back, byte for byte, what was registered; and whoever holds
 * the statement can add a receipt of another log, or take one away. Each stands for itself.
 *
 * @module
 */
import { equalBytes } from '../merkle/bytes.ts'
import { asArray, asBytes, type CborMap, decodeCbor } from './cbor.ts'
import { decodeCoseSign1, encodeCoseSign1, LABEL } from './cose-sign1.ts'
import { readingAs, StatementError } from './error.ts'
import { lengthBefore, parseSignedStatement, type SignedStatement, withUnprotected } from './signed-statement.ts'

/** As many logs as anybody would register one statement with. */
export const MAX_RECEIPTS = 16

/**
 * The statement with `receipts` added to those it has; one that is there already is not repeated. Other unprotected headers stay.
 *
 * @throws {@link StatementError} `too_large` past 16 receipts; what decoding throws
 */
export function attachReceipts(statementBytes: Uint8Array, receipts: readonly Uint8Array[]): Uint8Array {
  const sign1 = decodeCoseSign1(statementBytes, { maxBytes: Number.POSITIVE_INFINITY })
  const all = [...receiptsIn(sign1.unprotected)]
  for (const receipt of receipts) if (!all.some((known) => equalBytes(known, receipt))) all.push(receipt)
  if (all.length > MAX_RECEIPTS) throw tooMany()
  const unprotected = new Map(sign1.unprotected)
  if (all.length > 0) unprotected.set(LABEL.receipts, all)
  return encodeCoseSign1({ ...sign1, unprotected })
}

/** Whether the statement names its signer's certificate and does not carry it: readers need the chain from elsewhere (RFC 9943 §6). */
export function lacksCertificates(statementBytes: Uint8Array): boolean {
  const { protectedHeader } = decodeCoseSign1(statementBytes, { maxBytes: Number.POSITIVE_INFINITY })
  return protectedHeader.has(LABEL.x5t) && !protectedHeader.has(LABEL.x5chain)
}

/**
 * The statement with an unprotected `x5chain` (RFC 9360 §2), in place of any that it has. Other unprotected headers stay.
 *
 * @param chain - DER, leaf first; at least one
 * @throws what decoding throws
 */
export function attachCertificates(statementBytes: Uint8Array, chain: readonly Uint8Array[]): Uint8Array {
  const sign1 = decodeCoseSign1(statementBytes, { maxBytes: Number.POSITIVE_INFINITY })
  const unprotected = new Map(sign1.unprotected)
  unprotected.set(LABEL.x5chain, chain.length === 1 ? chain[0]! : chain)
  return encodeCoseSign1({ ...sign1, unprotected })
}

/**
 * Reads a statement and the receipts it carries, which may be none. Neither is verified.
 *
 * @throws {@link StatementError} what `parseSignedStatement` throws; `malformed_statement`, `too_large` for the receipts
 */
export function parseTransparentStatement(
  bytes: Uint8Array,
  limits: { readonly maxBytes?: number } = {},
): { readonly statement: SignedStatement; readonly receipts: readonly Uint8Array[] } {
  const statement = parseSignedStatement(bytes, limits)
  return { statement, receipts: receiptsIn(statement.unprotected) }
}

/**
 * The receipts in `bytes`, if these are `statement` with receipts and nothing else beside it: for whoever has read it before. Undefined where they
 * are anything else, which {@link parseTransparentStatement} may still read.
 */
export function receiptsBeside(
  { bytes: registered, sign1 }: SignedStatement,
  bytes: Uint8Array,
): readonly Uint8Array[] | undefined {
  if (sign1.protectedHeader.has(LABEL.receipts)) return undefined
  const before = lengthBefore(sign1)
  const after = registered.length - before - 1
  const end = bytes.length - after
  if (end <= before + 1 || !equalBytes(bytes.subarray(0, before), registered.subarray(0, before))) return undefined
  if (!equalBytes(bytes.subarray(end), registered.subarray(before + 1))) return undefined
  try {
    const unprotected = decodeCbor(bytes.subarray(before, end))
    if (!(unprotected instanceof Map) || unprotected.size !== 1 || !unprotected.has(LABEL.receipts)) return undefined
    return receiptsIn(unprotected as CborMap)
  } catch (error) {
    if (error instanceof StatementError) return undefined
    throw error
  }
}

/** The inverse: `statement` with these receipts, and nothing else beside it. */
export function withReceipts(statement: SignedStatement, receipts: readonly Uint8Array[]): Uint8Array {
  return withUnprotected(statement, new Map([[LABEL.receipts, receipts]]))
}

/** Receipts are byte strings (RFC 9942 §5), whatever the CDDL of RFC 9943 says: so does everybody write them. */
function receiptsIn(unprotected: CborMap): readonly Uint8Array[] {
  if (!unprotected.has(LABEL.receipts)) return []
  return readingAs('malformed_statement', () => {
    const receipts = asArray(unprotected.get(LABEL.receipts), 'the receipts of a statement')
    if (receipts.length === 0) throw new StatementError('malformed_statement', 'an empty list of receipts')
    if (receipts.length > MAX_RECEIPTS) throw tooMany()
    return receipts.map((receipt) => asBytes(receipt, 'a receipt'))
  })
}

function tooMany(): StatementError {
  return new StatementError('too_large', `more than ${MAX_RECEIPTS} receipts on one statement`)
}
