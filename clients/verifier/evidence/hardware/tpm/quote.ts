/**
 * What a TPM 2.0 signs, and its signature, as bytes (TPM 2.0 Library, Part 2: Structures). Numbers are big-endian.
 *
 *     TPMS_ATTEST     magic, type, the signer's name, extraData, clock, firmware version, PCR selection, digest of PCRs   §10.12.12
 *     TPMT_SIGNATURE  algorithm, hash, and one number (RSA) or two (ECDSA)                                               §11.3.4
 *
 * @module
 */
import { constants, createHash, type KeyObject, verify } from 'node:crypto'
import { concatBytes, equalBytes, toHex } from '../../../../../merkle/index.ts'
import { malformedEvidence, VerifierError } from '../../../error.ts'
import { ByteReader } from '../layout.ts'

/** TPM_ALG_ID (§6.3) of the hashes that PCRs come in, by their names. */
export const HASHES = [
  { id: 0x0004, name: 'sha1', bytes: 20 },
  { id: 0x000b, name: 'sha256', bytes: 32 },
  { id: 0x000c, name: 'sha384', bytes: 48 },
  { id: 0x000d, name: 'sha512', bytes: 64 },
] as const
export type PcrBank = (typeof HASHES)[number]['name']

export const PCRS = 24

export interface TpmQuote {
  /** What whoever asked for the quote put in. */
  readonly extraData: Uint8Array
  /** 8 bytes; the vendor's own numbering. */
  readonly firmwareVersion: Uint8Array
  /** In the order in which they were digested. */
  readonly selection: readonly { readonly bank: PcrBank; readonly pcr: number }[]
  readonly pcrDigest: Uint8Array
}

/** TPM_GENERATED_VALUE: a restricted key never signs bytes of somebody else's that begin so. §6.2 */
const GENERATED = 0xff544347
/** TPM_ST_ATTEST_QUOTE, §6.9 */
const QUOTE = 0x8018

/** @throws {@link VerifierError} `malformed_evidence` */
export function decodeTpmQuote(bytes: Uint8Array): TpmQuote {
  const reader = new ByteReader(bytes)
  if (big(reader, 4) !== GENERATED || big(reader, 2) !== QUOTE) throw malformedEvidence('not a quote of a TPM')
  sized(reader)
  const extraData = sized(reader)
  reader.take(17, 'clockInfo')
  const firmwareVersion = reader.take(8, 'firmwareVersion')
  const banks = big(reader, 4)
  if (banks === 0 || banks > HASHES.length) throw malformedEvidence(`${banks} banks of PCRs`)
  const selection: { bank: PcrBank; pcr: number }[] = []
  for (let i = 0; i < banks; i++) {
    const bank = hashOf(big(reader, 2)).name
    if (selection.some((chosen) => chosen.bank === bank)) throw malformedEvidence(`bank ${bank} twice`)
    const bits = reader.take(big(reader, 1), 'pcrSelect')
    for (let pcr = 0; pcr < 8 * bits.length; pcr++) {
      if (!(bits[pcr >> 3]! & (1 << (pcr & 7)))) continue
      if (pcr >= PCRS) throw malformedEvidence(`PCR ${pcr}`)
      selection.push({ bank, pcr })
    }
  }
  const pcrDigest = sized(reader)
  reader.end('the quote')
  return { extraData, firmwareVersion, selection, pcrDigest }
}

const RSASSA = 0x0014
const RSAPSS = 0x0016
const ECDSA = 0x0018

/**
 * Checks the signature over `quote`, and gives the hash that it is made with: that of the PCRs' digest too (Part 3, §18.4).
 *
 * @throws {@link VerifierError} `malformed_evidence`, `bad_evidence_signature`
 */
export function checkTpmSignature(quote: Uint8Array, signature: Uint8Array, key: KeyObject): PcrBank {
  const reader = new ByteReader(signature)
  const algorithm = big(reader, 2)
  const hash = hashOf(big(reader, 2)).name
  if (hash === 'sha1') throw malformedEvidence('a signature with SHA-1')
  const numbers = algorithm === ECDSA ? [sized(reader), sized(reader)] : [sized(reader)]
  reader.end('the signature')

  const isRsa = key.asymmetricKeyType === 'rsa'
  if ((algorithm === RSASSA || algorithm === RSAPSS) !== isRsa || (!isRsa && algorithm !== ECDSA)) {
    throw malformedEvidence(`signature algorithm ${algorithm.toString(16)} with a key of another kind`)
  }
  const padding = algorithm === RSAPSS ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const holds = isRsa
    ? verify(hash, quote, { key, padding }, numbers[0]!)
    : verify(hash, quote, { key, dsaEncoding: 'ieee-p1363' }, concatBytes(...numbers.map((n) => padded(n, key))))
  if (!holds) throw new VerifierError('bad_evidence_signature', 'not signed by the attestation key')
  return hash
}

/** That `values` are the PCRs that were digested. @throws {@link VerifierError} `measurement_mismatch` */
export function checkPcrDigest({ selection, pcrDigest }: TpmQuote, hash: PcrBank, values: PcrValues): void {
  const digest = createHash(hash)
  for (const { bank, pcr } of selection) {
    const value = values[bank]?.get(pcr)
    if (!value) throw new VerifierError('measurement_mismatch', `the value of PCR ${pcr} in ${bank} is missing`)
    digest.update(value)
  }
  if (!equalBytes(digest.digest(), pcrDigest)) {
    throw new VerifierError('measurement_mismatch', `the PCRs do not have the digest ${toHex(pcrDigest)}`)
  }
}

export type PcrValues = { readonly [B in PcrBank]?: ReadonlyMap<number, Uint8Array> }

export function hashOf(id: number): (typeof HASHES)[number] {
  const hash = HASHES.find((known) => known.id === id)
  if (!hash) throw malformedEvidence(`hash algorithm ${id.toString(16)}`)
  return hash
}

/** TPM2B: a length and so many bytes. */
function sized(reader: ByteReader): Uint8Array {
  return reader.take(big(reader, 2), 'a sized buffer')
}

function big(reader: ByteReader, bytes: 1 | 2 | 4): number {
  return reader.take(bytes, 'a number').reduce((value, byte) => value * 256 + byte, 0)
}

/** To the length of the curve; TPMs may leave zeros out. */
function padded(number: Uint8Array, key: KeyObject): Uint8Array {
  const length = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 48 : 32
  if (number.length > length) throw malformedEvidence('a signature past the order of its curve')
  return concatBytes(new Uint8Array(length - number.length), number)
}
