/**
 * Quotes of a software TPM (`test/fixtures/tpm/make.sh`), and what one could do to them.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { replayEventLog } from '../../../clients/verifier/evidence/hardware/tpm/event-log.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, fromHex, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { rocaModulus } from '../../roca-modulus.ts'
import { ES256_JWK, OTHER_ES256_JWK } from '../../statement/fixtures.ts'
import { authorityExtensions, basicConstraints, certificate, ecKeys, rsaKeys, sha256Hex } from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const YEAR = 31_536_000
const challenge = 'challenge'
const workloadKey = publicJwkOf(ES256_JWK)
const format = evidenceFormat('tpm2')

interface Evidence {
  readonly quote: string
  readonly signature: string
  readonly ak: string
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly eventLog?: string
}

const read = (name: string) =>
  utf8(readFileSync(new URL(`../../fixtures/tpm/${name}.json`, import.meta.url), 'utf8').trim())
const ecc = read('quote-ecc')
const rsa = read('quote-rsa')
const json: Evidence = JSON.parse(Buffer.from(ecc).toString())
const { eventLog = '', ...withoutLog } = json
const changed = (change: object) => utf8(JSON.stringify({ ...json, ...change }))
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const flipped = (base64: string, at: number) => {
  const bytes = bytesOf(base64)
  bytes[at < 0 ? bytes.length + at : at]! ^= 1
  return Buffer.from(bytes).toString('base64')
}

const akId = sha256Hex(bytesOf(json.ak))
const values = { 'sha256:0': json.pcrs['sha256']!['0']!, 'sha384:7': json.pcrs['sha384']!['7']! }
const references = (change: object = {}) =>
  parseReferenceValues(
    utf8(
      JSON.stringify({
        format: 'tpm2',
        measurements: [{ name: 'host', values }],
        platforms: [{ ids: [akId] }],
        ...change,
      }),
    ),
  )
const examination: Examination = { references: [references()], now: NOW, collateral: [], nonce: challenge, workloadKey }
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  format.examine(evidence, { ...examination, ...change })
const policy = (change: object = {}) =>
  parseAppraisalPolicy(
    utf8(
      JSON.stringify({
        format: 'tpm2',
        maxEvidenceAgeSeconds: 300,
        resultLifetimeSeconds: 3600,
        claims: {
          match: { 'instance-identity': 2, configuration: 2, executables: 3 },
          mismatch: { executables: 33 },
        },
        ...change,
      }),
    ),
  )
const appraised = (evidence: Uint8Array, referenceValues = [references()]) =>
  appraise({ evidence, policyId: 'tpm', policy: policy(), referenceValues, now: NOW, nonce: challenge, workloadKey })
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('tpm2 evidence', () => {
  it('affirms the reference PCRs of an enrolled machine, and is bound to key and challenge', async () => {
    const { tier, claims, keyThumbprint } = await appraised(ecc)
    assert.equal(tier, 'affirming')
    assert.ok(keyThumbprint)
    const { vector, annotatedEvidence } = claims.appraisals.get('tpm2')!
    assert.deepEqual(vector, { 'instance-identity': 2, configuration: 2, executables: 3 })
    assert.equal(annotatedEvidence?.['keyBinding'], 'extra_data=sha256(nonce|spki)')
  })

  it('of a machine that nobody enrolled says nothing, and its key is not passed on', async () => {
    for (const evidence of [rsa, ecc]) {
      const { tier, claims, keyThumbprint } = await appraised(evidence, [references({ platforms: [{ ids: ['00'] }] })])
      assert.equal(tier, 'contraindicated')
      assert.deepEqual(claims.appraisals.get('tpm2')!.vector, { 'instance-identity': 97 })
      assert.equal(keyThumbprint, undefined)
    }
    // Any model, and any machine of it, is not an enrolment.
    const { cases } = await examined(ecc, { references: [references({ platforms: [{ model: 'TPM 2.0' }] })] })
    assert.deepEqual(cases, ['unknownAttester'])
  })

  it('is believed about the software of the reference values that it is enrolled in, and no other', async () => {
    const ofOthers = references({ platforms: [{ ids: ['00'] }] })
    const own = references({ measurements: [{ name: 'other', values: { 'sha256:0': '00'.repeat(32) } }] })
    assert.deepEqual((await examined(ecc, { references: [ofOthers, own] })).cases, ['mismatch'])
  })

  it('holds with RSA as with ECDSA', async () => {
    const id = sha256Hex(bytesOf(JSON.parse(Buffer.from(rsa).toString()).ak))
    const { cases, detail } = await examined(rsa, { references: [references({ platforms: [{ ids: [id] }] })] })
    assert.deepEqual(cases, ['match'])
    assert.equal(Object.keys(detail['measurements'] as object).length, 7)
  })

  it('may come without an event log', async () => {
    assert.deepEqual((await examined(utf8(JSON.stringify(withoutLog)))).cases, ['match'])
  })

  it('is of the software that its PCRs say', async () => {
    const other = references({ measurements: [{ name: 'host', values: { 'sha256:0': '00'.repeat(32) } }] })
    const { cases, detail } = await examined(ecc, { references: [other] })
    assert.deepEqual(cases, ['mismatch'])
    assert.deepEqual(detail['different'], ['sha256:0'])
    const unquoted = references({ measurements: [{ name: 'host', values: { 'sha256:1': '00'.repeat(32) } }] })
    assert.deepEqual((await examined(ecc, { references: [unquoted] })).cases, ['mismatch'])
  })

  const pcrs = (pcr: string, value: string) => ({
    pcrs: { ...json.pcrs, sha256: { ...json.pcrs['sha256'], [pcr]: value } },
  })
  const otherAk = ecKeys('P-256').publicKey.export({ format: 'der', type: 'spki' })
  const wrong: [what: string, code: string, evidence: () => Uint8Array][] = [
    ['a quote that was changed', 'bad_evidence_signature', () => changed({ quote: flipped(json.quote, -1) })],
    [
      'a signature that was changed',
      'bad_evidence_signature',
      () => changed({ signature: flipped(json.signature, -1) }),
    ],
    ['another attestation key', 'bad_evidence_signature', () => changed({ ak: otherAk.toString('base64') })],
    ['another kind of key', 'malformed_evidence', () => changed({ ak: JSON.parse(Buffer.from(rsa).toString()).ak })],
    ['a key that is none', 'malformed_evidence', () => changed({ ak: 'MAAA' })],
    ['a key that is too short', 'malformed_evidence', () => changed({ ak: rsaKey(short()) })],
    ['a key that can be worked out', 'malformed_evidence', () => changed({ ak: rsaKey(rocaModulus()) })],
    ['a key that hides nothing', 'malformed_evidence', () => changed({ ak: rsaKey(modulus(), 'AQ') })],
    ['another PCR', 'measurement_mismatch', () => changed(pcrs('0', '00'.repeat(32)))],
    ['a PCR less', 'measurement_mismatch', () => changed({ pcrs: { sha256: json.pcrs['sha256'] } })],
    ['a PCR of another length', 'malformed_evidence', () => changed(pcrs('0', '00'))],
    ['PCR 24', 'malformed_evidence', () => changed(pcrs('24', '00'.repeat(32)))],
    ['a PCR written in another way', 'malformed_evidence', () => changed(pcrs('00', '00'.repeat(32)))],
    ['something else that a TPM signed', 'malformed_evidence', () => changed({ quote: flipped(json.quote, 5) })],
    ['something that a TPM did not make', 'malformed_evidence', () => changed({ quote: flipped(json.quote, 0) })],
    ['a log with another digest', 'measurement_mismatch', () => changed({ eventLog: flipped(eventLog, 100) })],
    [
      'a log with an event less',
      'measurement_mismatch',
      () => changed({ eventLog: Buffer.from(logUpTo(3)).toString('base64') }),
    ],
    [
      'a log without the bank that was quoted',
      'measurement_mismatch',
      () => changed({ eventLog: Buffer.from(logOf(fromHex('0c003000'))).toString('base64') }),
    ],
    ['a log of nothing', 'malformed_evidence', () => changed({ eventLog: 'AAAA' })],
    ['another member', 'malformed_evidence', () => changed({ more: 1 })],
    ['base64 of another kind', 'malformed_evidence', () => changed({ quote: `${json.quote}=` })],
  ]
  for (const [what, code, evidence] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(examined(evidence()), refused(code)))
  }
  const modulus = () => Buffer.from(rsaKeys().publicKey.export({ format: 'jwk' }).n!, 'base64url')
  const short = () => modulus().subarray(0, 128)
  function rsaKey(modulus: Uint8Array, e = 'AQAB'): string {
    const n = Buffer.from(modulus).toString('base64url')
    const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
    return key.export({ format: 'der', type: 'spki' }).toString('base64')
  }

  it('is refused for another workload key, and for another challenge', async () => {
    await assert.rejects(examined(ecc, { workloadKey: publicJwkOf(OTHER_ES256_JWK) }), refused('key_not_bound'))
    await assert.rejects(examined(ecc, { nonce: 'another!' }), refused('key_not_bound'))
  })

  // What an event's data is, and of which type, is not measured: only its digest is.
  const text = Buffer.from(ecc).toString()
  const log = text.indexOf(eventLog)
  refusesWhatIsHostile(() => ({
    format,
    evidence: ecc,
    examination,
    unprotected: (at) => at >= log && at < log + eventLog.length,
  }))
})

describe('evidence of a TPM as Confidential Containers write it', () => {
  const { publicKey, privateKey } = rsaKeys()
  const pcrs = Array.from({ length: 24 }, (_, pcr) => new Uint8Array(32).fill(pcr))
  const sized = (bytes: Uint8Array) => concatBytes(Uint8Array.of(0, bytes.length), bytes)
  const sha256 = (...parts: readonly Uint8Array[]) =>
    new Uint8Array(
      createHash('sha256')
        .update(concatBytes(...parts))
        .digest(),
    )
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

  /** TPMS_ATTEST (TPM 2.0 Library, Part 2, §10.12.12) of 24 PCRs of SHA-256. */
  const message = concatBytes(
    fromHex('ff5443478018'),
    sized(fromHex('000b')),
    sized(sha256(utf8(challenge), spkiOfJwk(workloadKey))),
    new Uint8Array(17 + 8),
    fromHex('00000001000b03ffffff'),
    sized(sha256(...pcrs)),
  )
  const signature = concatBytes(fromHex('0014000b0180'), new Uint8Array(sign('sha256', message, privateKey)))
  const tpm_quote = { message: base64(message), signature: base64(signature), pcrs: pcrs.map(toHex) }
  const written = (change: object = {}, ofQuote: object = {}) =>
    utf8(JSON.stringify({ ak_public: base64(spki), tpm_quote: { ...tpm_quote, ...ofQuote }, ...change }))
  const enrolled = [
    references({
      measurements: [{ name: 'host', values: { 'sha256:23': toHex(pcrs[23]!) } }],
      platforms: [{ ids: [sha256Hex(spki)] }],
    }),
  ]

  it('is read as ours is', async () => {
    assert.deepEqual((await examined(written(), { references: enrolled })).cases, ['match'])
    assert.deepEqual((await examined(written())).cases, ['unknownAttester'])
  })

  const wrong: [what: string, code: string, evidence: () => Uint8Array][] = [
    ['a PCR too few', 'malformed_evidence', () => written({}, { pcrs: tpm_quote.pcrs.slice(1) })],
    ['PCRs in another order', 'measurement_mismatch', () => written({}, { pcrs: tpm_quote.pcrs.toReversed() })],
    ['another key', 'bad_evidence_signature', () => written({ ak_public: JSON.parse(Buffer.from(rsa).toString()).ak })],
    ['members of both forms', 'malformed_evidence', () => written({ pcrs: {} })],
  ]
  for (const [what, code, evidence] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(examined(evidence(), { references: enrolled }), refused(code)))
  }
})

describe('a certified attestation key', () => {
  const ca = ecKeys('P-256')
  const signer = { key: ca.privateKey, algorithm: 'ES256' as const }
  const dates = { notBefore: NOW - YEAR, notAfter: NOW + YEAR }
  const root = certificate({
    subject: 'CA',
    issuer: 'CA',
    ...dates,
    publicKey: ca.publicKey,
    extensions: authorityExtensions,
    signer,
  })
  const akOf = (evidence: Uint8Array) =>
    createPublicKey({
      key: Buffer.from(JSON.parse(Buffer.from(evidence).toString()).ak, 'base64'),
      format: 'der',
      type: 'spki',
    })
  const certified = (evidence: Uint8Array) =>
    certificate({
      subject: 'AK',
      issuer: 'CA',
      ...dates,
      publicKey: akOf(evidence),
      extensions: [basicConstraints(false)],
      signer,
    })
  const anywhere = (() => {
    const { platforms: _, ...rest } = references()
    return rest
  })()

  it('needs no enrolment, where the policy names the root', async () => {
    for (const evidence of [ecc, rsa]) {
      const change = { references: [anywhere], collateral: [certified(evidence), root], roots: [sha256Hex(root)] }
      assert.deepEqual((await examined(evidence, change)).cases, ['match', 'uncheckedRevocation'])
    }
  })

  it('is refused where the policy does not: no root is believed by itself', async () => {
    const collateral = [certified(ecc), root]
    await assert.rejects(examined(ecc, { references: [anywhere], collateral }), refused('untrusted_root'))
  })

  it('has to be this one', async () => {
    const change = { references: [anywhere], collateral: [certified(rsa), root], roots: [sha256Hex(root)] }
    assert.deepEqual((await examined(ecc, change)).cases, ['unknownAttester'])
  })
})

/** A log without events, of one hash. */
function logOf(hash: Uint8Array): Uint8Array {
  const bytes = bytesOf(eventLog)
  const spec = concatBytes(bytes.subarray(32, 56), Uint8Array.of(1, 0, 0, 0), hash, Uint8Array.of(0))
  return concatBytes(bytes.subarray(0, 28), Uint8Array.of(spec.length, 0, 0, 0), spec)
}

/** The log of the fixture with its first `count` events after the header. */
function logUpTo(count: number): Uint8Array {
  const bytes = bytesOf(eventLog)
  let at = 32 + 37
  for (let i = 0; i < count; i++) at += 4 + 4 + 4 + 2 + 32 + 2 + 48 + 4 + bytes[at + 4 + 4 + 4 + 2 + 32 + 2 + 48]!
  return bytes.subarray(0, at)
}

describe('event logs', () => {
  const bytes = bytesOf(eventLog)
  const header = bytes.subarray(0, 32 + 37)
  const little = (value: number) => Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24)
  const event = (pcr: number, type: number, data: Uint8Array, byte = 1) =>
    concatBytes(
      little(pcr),
      little(type),
      little(2),
      Uint8Array.of(0x0b, 0),
      new Uint8Array(32).fill(byte),
      Uint8Array.of(0x0c, 0),
      new Uint8Array(48).fill(byte),
      little(data.length),
      data,
    )
  const pcr = (log: Uint8Array, number: number) =>
    toHex(replayEventLog(log).get('sha256')?.get(number) ?? new Uint8Array())
  const extended = (start: Uint8Array) => sha256Hex(concatBytes(start, new Uint8Array(32).fill(1)))

  it('lead to the PCRs that a TPM has', () => {
    for (const number of [0, 4, 7]) assert.equal(pcr(bytes, number), json.pcrs['sha256']![number])
    assert.equal(pcr(concatBytes(bytes, new Uint8Array(64)), 7), json.pcrs['sha256']!['7'])
  })

  it('lead there past a bank of a hash that nobody here computes', () => {
    // SM3, announced in the first event and with a digest in each.
    const spec = concatBytes(header.subarray(32, 56), little(3), fromHex('0b0020000c00300012002000'), Uint8Array.of(0))
    const parts = [header.subarray(0, 28), little(spec.length), spec]
    for (let at = header.length; at < bytes.length; ) {
      const length = bytes[at + 96]! + 256 * bytes[at + 97]!
      parts.push(bytes.subarray(at, at + 8), little(3), bytes.subarray(at + 12, at + 96), fromHex('1200'))
      parts.push(new Uint8Array(32).fill(7), bytes.subarray(at + 96, at + 100 + length))
      at += 100 + length
    }
    const log = concatBytes(...parts)
    for (const number of [0, 4, 7]) assert.equal(pcr(log, number), json.pcrs['sha256']![number])
    assert.deepEqual([...replayEventLog(log).keys()], ['sha256', 'sha384'])
    const short = log.slice()
    short[32 + 24 + 4 + 10] = 31
    assert.throws(() => replayEventLog(short), refused('malformed_evidence'))
  })

  it('start where the TPM starts', () => {
    assert.equal(pcr(concatBytes(header, event(5, 1, new Uint8Array(3))), 5), extended(new Uint8Array(32)))
    assert.equal(pcr(concatBytes(header, event(17, 1, new Uint8Array())), 17), extended(new Uint8Array(32).fill(0xff)))
    const locality = event(0, 3, concatBytes(utf8('StartupLocality\0'), Uint8Array.of(3)))
    const log = concatBytes(header, locality, event(0, 8, new Uint8Array()))
    assert.equal(pcr(log, 0), extended(new Uint8Array(32).with(31, 3)))
  })

  const wrong: [what: string, log: () => Uint8Array][] = [
    ['that were cut short', () => bytes.subarray(0, -1)],
    ['of TPM 1.2', () => bytes.subarray(69)],
    ['with a PCR that no TPM has', () => concatBytes(header, event(24, 1, new Uint8Array()))],
    ['with a digest less', () => bytes.with(69 + 8, 1)],
    ['with an unknown hash', () => bytes.with(69 + 12, 0x13)],
    ['with a hash that it did not announce', () => bytes.with(69 + 12, 0x12)],
    ['with one hash twice', () => bytes.with(69 + 12, 0x0c)],
  ]
  for (const [what, log] of wrong) {
    it(`${what} are refused`, () => assert.throws(() => replayEventLog(log()), refused('malformed_evidence')))
  }
})
