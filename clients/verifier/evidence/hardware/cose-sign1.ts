/**
 * COSE_Sign1 (RFC 9052 §4.2) as attesters make it: one algorithm, and nothing else in either header but what the format says.
 *
 * `statement/cose-sign1.ts` reads statements, which are in one exact form and of algorithms that workloads have. Attesters sort keys as they
 * like, leave tags out, and use ES384.
 *
 * @module
 */
import { type KeyObject, verify } from 'node:crypto'
import {
  asArray,
  asBytes,
  asMap,
  type CborMap,
  CborTag,
  type CborValue,
  decodeCbor,
  encodeCbor,
} from '../../../../statement/cbor.ts'

/** The algorithms that attesters use, by their numbers (RFC 9053 §2.1). */
const ALGORITHMS = {
  [-7]: { hash: 'sha256', curve: 'prime256v1', bytes: 64 },
  [-35]: { hash: 'sha384', curve: 'secp384r1', bytes: 96 },
} as const
type Algorithm = keyof typeof ALGORITHMS

export interface CoseSign1 {
  readonly algorithm: Algorithm
  readonly payload: Uint8Array
  /** Whether this key made the signature, over what was agreed on outside besides: `external_aad` of §4.3. */
  isSignedBy(key: KeyObject, external?: Uint8Array): boolean
}

const LIMITS = { maxBytes: 64 * 1024, maxItems: 1024, maxDepth: 8, sortedKeys: false }

/** CBOR of attesters: of one encoding for each value, but for the order of keys. Throws `StatementError`. */
export function decodeLoosely(bytes: Uint8Array, tags: readonly number[] = []): CborValue {
  return decodeCbor(bytes, { ...LIMITS, tags })
}

/** What a header says of whose signature it is, and nothing here reads: the key is known from elsewhere. RFC 9052 §3.1, RFC 9360 §2. */
export const KEY_HINTS = { kid: 4, x5chain: 33, x5t: 34 }

/** Labels that may be in the headers besides the algorithm. None of them is read: a label that changes what the rest means must not be among them. */
export interface IgnoredHeaders {
  readonly protected?: readonly number[]
  /** Nobody signs what is there. */
  readonly unprotected?: readonly number[]
}

/** Throws as `decodeLoosely`, or an ordinary error that says why. */
export function decodeCoseSign1(bytes: Uint8Array, isTagged: boolean, ignored: IgnoredHeaders = {}): CoseSign1 {
  const value = decodeLoosely(bytes, isTagged ? [18] : [])
  if (isTagged && !(value instanceof CborTag && value.tag === 18)) throw new Error('no tag 18')
  const array = asArray(value instanceof CborTag ? value.value : value, 'COSE_Sign1', 4)
  const protectedHeader = asBytes(array[0], 'protected header')
  // RFC 9052 §3: no bytes are an empty map.
  if (protectedHeader.length === 0) throw new Error('nothing in the protected header, not even alg')
  const headers = asMap(decodeLoosely(protectedHeader), 'protected header')
  const algorithm = ([-7, -35] as const).find((known) => known === headers.get(1))
  if (!algorithm) throw new Error('alg is neither ES256 nor ES384')
  checkLabels(headers, [1, ...(ignored.protected ?? [])], 'protected')
  checkLabels(asMap(array[1], 'unprotected header'), ignored.unprotected ?? [], 'unprotected')
  const payload = asBytes(array[2], 'payload')
  const { hash, curve, bytes: length } = ALGORITHMS[algorithm]
  const signature = asBytes(array[3], 'signature', length)
  return {
    algorithm,
    payload,
    isSignedBy: (key, external = new Uint8Array()) => {
      // §4.4
      const signed = encodeCbor(['Signature1', protectedHeader, external, payload])
      return (
        key.asymmetricKeyDetails?.namedCurve === curve &&
        verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
      )
    },
  }
}

function checkLabels(headers: CborMap, known: readonly unknown[], title: string): void {
  const label = [...headers.keys()].find((key) => !known.includes(key))
  if (label !== undefined) throw new Error(`${String(label)} in the ${title} header`)
}
