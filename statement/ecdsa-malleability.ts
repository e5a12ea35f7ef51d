/**
 * The two faces of an ECDSA signature: where (r, s) verifies, (r, n − s) does too, and anyone can compute it.
 *
 * Whoever holds a signed statement can therefore make a second one, with other bytes and another entry, that nobody signed
 * again. We always sign the one with the smaller s; `statementIdentity` recognises the twin of anybody's.
 *
 * @module
 */
import { assertBytes } from '../merkle/bytes.ts'

/** The order of the base point of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The signature of the pair whose s is at most n / 2. `signature` is r ‖ s, 64 bytes. */
export function withLowS(signature: Uint8Array): Uint8Array {
  return isLowS(signature) ? signature : withOtherS(signature)
}

/** Whether s is at most n / 2. */
export function isLowS(signature: Uint8Array): boolean {
  return 2n * sOf(signature) <= ORDER
}

/** The other signature of the pair. */
export function withOtherS(signature: Uint8Array): Uint8Array {
  const twin = signature.slice()
  let s = ORDER - sOf(signature)
  for (let i = 63; i >= 32; i--) {
    twin[i] = Number(s & 0xffn)
    s >>= 8n
  }
  return twin
}

function sOf(signature: Uint8Array): bigint {
  assertBytes(signature, 64, 'an ECDSA signature')
  let s = 0n
  for (let i = 32; i < 64; i++) s = (s << 8n) | BigInt(signature[i]!)
  return s
}
