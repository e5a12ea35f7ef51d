/**
 * Sealed sections: parts of a record that only some readers may read, and that can mean one thing only.
 *
 * AES-GCM does not commit to its key: whoever chooses two keys can make one ciphertext that decrypts to a valid text under each
 * (Dodis et al. 2018, "invisible salamanders"), and so show two auditors two reasons for one credential. Hence the commitment:
 *
 *     CEK      32 random bytes per section; who has it can read the section
 *     ctx      CBOR [suite, issuer, record id, label, padded length]
 *     K ‖ C    HKDF-SHA256(CEK, salt = record id, info = "provlog/seal/v1" ‖ ctx, 64 bytes)
 *     ct       AES-256-GCM(K, nonce 0, aad = ctx, plaintext ‖ 0x80 ‖ 0x00…)
 *     section  {"label": label, "commit": C, "ct": ct}                        in the signed payload
 *
 * C is under the issuer's signature and a collision-resistant function of the CEK, so a section has one key; the nonce may be
 * constant because K is used once. The same C guards every recipient, so the wraps that deliver CEKs need not commit to anything.
 *
 * @module
 */
import { decryptOnce, encryptOnce, hkdfSha256, TAG_LENGTH } from '#cipher'
import { assertBytes, concatBytes, equalSecretBytes, utf8 } from '../merkle/bytes.ts'
import { assert } from '../merkle/error.ts'
import type { Hash } from '../merkle/hash.ts'
import { asArray, asBytes, asMap, asText, type CborValue, encodeCbor } from './cbor.ts'
import { readingAs, StatementError } from './error.ts'

export interface SealedSection {
  /** Which audience: `workload`, `attestation`, `policy`, `credential`, `decision`, … 1 to 64 characters. */
  readonly label: string
  /** C above, 32 bytes. */
  readonly commit: Hash
  /** The padded plaintext and a tag of 16 bytes. Its length is the one thing it shows. */
  readonly ciphertext: Uint8Array
}

export interface Sealed {
  readonly suite: 1
  readonly sections: readonly SealedSection[]
}

/** What a section is bound to: it cannot be moved to another record or another issuer's. */
export interface SealContext {
  readonly issuer: string
  /** 16 bytes. */
  readonly recordId: Uint8Array
}

/**
 * Seals each plaintext under a key of its own.
 *
 * @param plaintexts by label
 * @param random that many unpredictable bytes: the platform’s secure source, except in tests
 * @returns the sections in the order of `plaintexts`, and the CEK of each by label
 */
export async function sealSections(
  context: SealContext,
  plaintexts: ReadonlyMap<string, Uint8Array>,
  random: (length: number) => Uint8Array,
): Promise<{ sealed: Sealed; keys: ReadonlyMap<string, Uint8Array> }> {
  const keys = new Map<string, Uint8Array>()
  const sections: SealedSection[] = []
  for (const [label, plaintext] of plaintexts) {
    checkLabel(label)
    const cek = random(CEK_LENGTH)
    assertBytes(cek, CEK_LENGTH, 'a content-encryption key')
    const padded = pad(plaintext)
    const { commit, key, aad } = derive(context, label, padded.length, cek)
    keys.set(label, cek)
    sections.push({ label, commit, ciphertext: await encryptOnce(key, aad, padded) })
  }
  return { sealed: { suite: SUITE, sections }, keys }
}

/**
 * Opens a section.
 *
 * @throws {@link StatementError} `wrong_key` when the commitment is not to this key in this context, found before anything is
 *   decrypted; `decryption_failed`, `malformed_padding` when the issuer sealed something broken
 */
export async function openSection(context: SealContext, section: SealedSection, cek: Uint8Array): Promise<Uint8Array> {
  if (cek.length !== CEK_LENGTH) throw new StatementError('wrong_key', 'a content-encryption key has 32 bytes')
  const { label, ciphertext } = section
  const { commit, key, aad } = derive(context, label, ciphertext.length - TAG_LENGTH, cek)
  if (!equalSecretBytes(commit, section.commit)) {
    throw new StatementError(
      'wrong_key',
      `section ${JSON.stringify(label)} is not sealed with this key, or not for this record`,
    )
  }
  const padded = await decryptOnce(key, aad, ciphertext)
  if (!padded) throw new StatementError('decryption_failed', `section ${JSON.stringify(label)} does not decrypt`)
  return unpad(padded)
}

/** The CBOR that goes into a record. */
export function encodeSealed({ suite, sections }: Sealed): CborValue {
  const encoded = sections.map(
    ({ label, commit, ciphertext }) =>
      new Map<string, CborValue>([
        ['ct', ciphertext],
        ['label', label],
        ['commit', commit],
      ]),
  )
  return new Map<string, CborValue>([
    ['suite', suite],
    ['sections', encoded],
  ])
}

/**
 * Reads sealed sections out of a record, and what can be checked of them without a key: labels, lengths, no label twice.
 *
 * @throws {@link StatementError} `malformed_seal`
 */
export function decodeSealed(value: CborValue): Sealed {
  return readingAs('malformed_seal', () => {
    const sealed = asMap(value, 'sealed sections')
    if (sealed.get('suite') !== SUITE || sealed.size !== 2) throw malformed('a suite we know')
    const sections = asArray(sealed.get('sections'), 'sealed sections').map(decodeSection)
    if (sections.length === 0 || sections.length > MAX_SECTIONS) throw malformed(`1 to ${MAX_SECTIONS} sections`)
    for (let i = 1; i < sections.length; i++) {
      for (let j = 0; j < i; j++) if (sections[j]!.label === sections[i]!.label) throw malformed('each label once')
    }
    return { suite: SUITE, sections }
  })
}

/**
 * The length to pad to, so that the ciphertext shows at most O(log log n) bits of the length within, for at most 12 % more
 * bytes: Padmé (Nikitin et al. 2019, "Reducing metadata leakage from encrypted files"). Keeps the top ~log₂ log₂ n bits of n.
 */
export function padmeLength(n: number): number {
  assert(Number.isSafeInteger(n) && n >= 0, 'a length')
  if (n < 2) return n
  const exponent = Math.floor(Math.log2(n))
  const step = 2 ** (exponent - Math.floor(Math.log2(exponent || 1)) - 1)
  return step <= 1 ? n : Math.ceil(n / step) * step
}

const SUITE = 1
const CEK_LENGTH = 32
const MAX_SECTIONS = 16
/** Below this nearly every length is its own Padmé length, and short sections ("denied", "granted") would show theirs. */
const MIN_PADDED = 64
const INFO = utf8('provlog/seal/v1')

function derive(
  { issuer, recordId }: SealContext,
  label: string,
  paddedLength: number,
  cek: Uint8Array,
): { commit: Hash; key: Uint8Array; aad: Uint8Array } {
  assertBytes(recordId, 16, 'a record id')
  const aad = encodeCbor([SUITE, issuer, recordId, label, paddedLength])
  const derived = hkdfSha256(cek, recordId, concatBytes(INFO, aad), 64)
  return { commit: derived.slice(32), key: derived.subarray(0, 32), aad }
}

// Padding ends with the last non-zero byte, 0x80, so every plaintext, one of zeros too, has one padded form and no length field.

function paddedLengthOf(length: number): number {
  return padmeLength(Math.max(length + 1, MIN_PADDED))
}

function pad(plaintext: Uint8Array): Uint8Array {
  const padded = new Uint8Array(paddedLengthOf(plaintext.length))
  padded.set(plaintext)
  padded[plaintext.length] = 0x80
  return padded
}

function unpad(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1
  while (end >= 0 && padded[end] === 0) end--
  // The length must be the one that padding gives, or an issuer could signal in it to outsiders.
  if (padded[end] !== 0x80 || paddedLengthOf(end) !== padded.length) {
    throw new StatementError('malformed_padding', 'a section that is not padded in the one permitted way')
  }
  return padded.slice(0, end)
}

function decodeSection(value: CborValue): SealedSection {
  const section = asMap(value, 'a sealed section')
  const label = asText(section.get('label'), 'the label of a section')
  checkLabel(label)
  const commit = asBytes(section.get('commit'), 'the commitment of a section', 32)
  const ciphertext = asBytes(section.get('ct'), 'the ciphertext of a section')
  const padded = ciphertext.length - TAG_LENGTH
  if (section.size !== 3) throw malformed('nothing in a section but label, commit and ct')
  if (padded < MIN_PADDED || padmeLength(padded) !== padded) throw malformed('a ciphertext of a padded length')
  return { label, commit, ciphertext }
}

function checkLabel(label: string): void {
  if (label.length === 0 || label.length > 64) throw malformed('labels of 1 to 64 characters')
}

function malformed(wanted: string): StatementError {
  return new StatementError('malformed_seal', `sealed sections must have ${wanted}`)
}
