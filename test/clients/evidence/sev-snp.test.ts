import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, fromHex, sha256, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { ES256_JWK, OTHER_ES256_JWK } from '../../statement/fixtures.ts'
import {
  authorityExtensions,
  basicConstraints,
  type CertificateContent,
  certificate,
  der,
  type Extension,
  ecKeys,
  integer,
  type RevocationListContent,
  revocationList,
  rsaKeys,
  sha256Hex,
} from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const YEAR = 31_536_000
const workloadKey = publicJwkOf(ES256_JWK)
const spki = spkiOfJwk(workloadKey)
const format = evidenceFormat('sev-snp')

const keys = { ARK: rsaKeys(), ASK: rsaKeys(), VCEK: ecKeys('P-384'), VLEK: ecKeys('P-384') }
type Party = keyof typeof keys
const signer = (party: Party) => ({ key: keys[party].privateKey, algorithm: 'PS384' as const })

const MILAN_TCB = { bootloader: 3, tee: 0, snp: 8, microcode: 115 }
const TURIN_TCB = { fmc: 1, bootloader: 3, tee: 2, snp: 8, microcode: 115 }
const CHIP = new Uint8Array(64).fill(7)

/** The extensions of a VCEK: publication 57230, Table 8. */
function endorsement(product: string, tcb: Readonly<Record<string, number>>, chip?: Uint8Array): Extension[] {
  const numbers = { bootloader: 1, tee: 2, snp: 3, microcode: 8, fmc: 9 } as const
  return [
    { id: '1.3.6.1.4.1.3704.1.2', value: der(0x16, utf8(product)) },
    ...Object.entries(tcb).map(([name, level]) => ({
      id: `1.3.6.1.4.1.3704.1.3.${numbers[name as keyof typeof numbers]}`,
      value: integer(level),
    })),
    ...(chip ? [{ id: '1.3.6.1.4.1.3704.1.4', value: chip }] : []),
  ]
}

function issued(subject: Party, issuer: Party, change: Partial<CertificateContent> = {}): Uint8Array {
  return certificate({
    subject,
    issuer,
    notBefore: NOW - YEAR,
    notAfter: NOW + YEAR,
    publicKey: keys[subject].publicKey,
    extensions: authorityExtensions,
    signer: signer(issuer),
    ...change,
  })
}

const ark = issued('ARK', 'ARK')
const ask = issued('ASK', 'ARK', { serial: 77 })
const vcek = issued('VCEK', 'ASK', { serial: 0, extensions: endorsement('Milan-B0', MILAN_TCB, CHIP) })
const roots = [sha256Hex(ark)]
const crlOf = (change: Partial<RevocationListContent> = {}) =>
  revocationList({
    issuer: 'ARK',
    thisUpdate: NOW - 3600,
    nextUpdate: NOW + 3600,
    serials: [],
    signer: signer('ARK'),
    ...change,
  })

interface Change {
  readonly version?: number
  /** Bytes by their offset. */
  readonly at?: Readonly<Record<number, readonly number[] | Uint8Array>>
  readonly signer?: 'VCEK' | 'VLEK'
}

const little = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)
const challenge = 'challenge'
const boundTo = (key: Uint8Array, nonce = challenge) =>
  new Uint8Array(
    createHash('sha512')
      .update(concatBytes(utf8(nonce), key))
      .digest(),
  )

/** A report as Milan's firmware makes it, but for what is changed. */
function report({ version = 2, at = {}, signer: by = 'VCEK' }: Change = {}): Uint8Array {
  const bytes = new Uint8Array(0x4a0)
  const set = (offset: number, value: Iterable<number>) => bytes.set([...value], offset)
  set(0x00, little(version, 4))
  set(0x04, little(4, 4))
  set(0x08, [0x1f, 0x00, 0x03])
  set(0x34, [1])
  set(0x50, boundTo(spki))
  set(0x90, new Uint8Array(48).fill(0xaa))
  set(0xc0, new Uint8Array(32).fill(0xbb))
  set(0x180, [3, 0, 0, 0, 0, 0, 8, 115])
  set(0x1a0, CHIP)
  for (const [offset, value] of Object.entries(at)) set(Number(offset), value)
  const signature = sign('sha384', bytes.subarray(0, 0x2a0), {
    key: keys[by].privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  set(0x2a0, new Uint8Array(signature.subarray(0, 48)).toReversed())
  set(0x2e8, new Uint8Array(signature.subarray(48)).toReversed())
  return bytes
}

const honest = report()
const collateral = [vcek, ask, ark, crlOf()]
const examination: Examination = { references: [], now: NOW, collateral, roots, nonce: challenge, workloadKey }
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  format.examine(evidence, { ...examination, ...change })

const hex = (byte: number, length: number) => Buffer.alloc(length, byte).toString('hex')
const references = (change: object = {}) =>
  parseReferenceValues(
    utf8(
      JSON.stringify({
        format: 'sev-snp',
        measurements: [
          {
            name: 'payments',
            values: { MEASUREMENT: hex(0xaa, 48), HOST_DATA: hex(0xbb, 32) },
            minimum: { guestSvn: 4 },
          },
        ],
        platforms: [{ model: 'Milan', minimum: MILAN_TCB }],
        ...change,
      }),
    ),
  )
const policyOf = (change: object = {}) =>
  parseAppraisalPolicy(
    utf8(
      JSON.stringify({
        format: 'sev-snp',
        maxEvidenceAgeSeconds: 300,
        resultLifetimeSeconds: 3600,
        roots,
        claims: {
          match: { 'instance-identity': 2, configuration: 2, executables: 3, hardware: 2, 'runtime-opaque': 2 },
          mismatch: { executables: 33 },
        },
        ...change,
      }),
    ),
  )
const appraised = (evidence = honest, change: Partial<Parameters<typeof appraise>[0]> = {}) =>
  appraise({
    evidence,
    policyId: 'snp',
    policy: policyOf(),
    referenceValues: [references()],
    now: NOW,
    nonce: challenge,
    workloadKey,
    collateral,
    ...change,
  })
const vectorOf = ({ claims }: Awaited<ReturnType<typeof appraise>>) => claims.appraisals.get('sev-snp')!.vector
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('sev-snp evidence', () => {
  it('affirms the reference guest on a platform that is new enough, and is bound to key and challenge at once', async () => {
    const { tier, claims } = await appraised()
    const { annotatedEvidence, attestedKey } = claims.appraisals.get('sev-snp')!
    assert.equal(tier, 'affirming')
    assert.deepEqual(attestedKey, spki)
    assert.deepEqual(claims.nonces, [challenge])
    assert.equal(annotatedEvidence?.['keyBinding'], 'report_data=sha512(nonce|spki)')
    assert.deepEqual(annotatedEvidence?.['versions'], { guestSvn: 4, ...MILAN_TCB })
    assert.deepEqual(annotatedEvidence?.['platform'], { model: 'Milan', id: hex(7, 64) })
    assert.deepEqual(annotatedEvidence?.['findings'], [])
  })

  it('takes certificates in any order and encoding, and others beside them', async () => {
    const other = issued('VCEK', 'ASK', { extensions: endorsement('Milan-B0', { ...MILAN_TCB, snp: 7 }, CHIP) })
    const { cases } = await examined(honest, { collateral: [crlOf(), ark, other, ask, vcek] })
    assert.deepEqual(cases, ['mismatch', 'unknownTcb'])
  })

  const versions: [what: string, evidence: () => Uint8Array, certificate: () => Uint8Array, platform: object][] = [
    [
      'version 3 from Milan',
      () => report({ version: 3, at: { 392: [0x19, 1, 1] } }),
      () => vcek,
      { model: 'Milan', id: hex(7, 64) },
    ],
    [
      'version 3 from Genoa',
      () => report({ version: 3, at: { 392: [0x19, 0x11, 1] } }),
      () => issued('VCEK', 'ASK', { extensions: endorsement('Genoa-B1', MILAN_TCB, CHIP) }),
      { model: 'Genoa', id: hex(7, 64) },
    ],
    [
      'version 4, which is laid out as 3 is',
      () => report({ version: 4, at: { 392: [0x19, 1, 1] } }),
      () => vcek,
      { model: 'Milan', id: hex(7, 64) },
    ],
    [
      'version 5 from Turin, whose TCB is laid out differently and whose chips have short names',
      () =>
        report({
          version: 5,
          at: {
            384: [1, 3, 2, 8, 0, 0, 0, 115],
            392: [0x1a, 2, 1],
            416: [...CHIP.subarray(0, 8), ...new Uint8Array(56)],
            504: new Uint8Array(16).fill(1),
          },
        }),
      () => issued('VCEK', 'ASK', { extensions: endorsement('Turin', TURIN_TCB, CHIP.subarray(0, 8)) }),
      { model: 'Turin', id: hex(7, 8) },
    ],
    [
      'a host that masks its chips',
      () => report({ at: { 416: new Uint8Array(64) } }),
      () => vcek,
      { model: 'Milan', id: hex(7, 64) },
    ],
    [
      'a VLEK',
      () => report({ at: { 72: [0x04] }, signer: 'VLEK' }),
      () => issued('VLEK', 'ASK', { extensions: endorsement('Milan', MILAN_TCB) }),
      { model: 'Milan', id: hex(7, 64) },
    ],
    [
      'a VLEK on a host that masks its chips',
      () => report({ at: { 72: [0x04], 416: new Uint8Array(64) }, signer: 'VLEK' }),
      () => issued('VLEK', 'ASK', { extensions: endorsement('Milan', MILAN_TCB) }),
      { model: 'Milan' },
    ],
  ]
  for (const [what, evidence, leaf, platform] of versions) {
    it(`reads a report of ${what}`, async () => {
      const { detail, cases } = await examined(evidence(), { collateral: [leaf(), ask, ark, crlOf()] })
      assert.deepEqual(detail['platform'], platform)
      assert.deepEqual(cases, ['mismatch', 'unknownTcb'])
    })
  }

  const findings: [what: string, expected: string, evidence: Uint8Array, change: Partial<Examination>][] = [
    ['a guest that its host may debug', 'debug', report({ at: { 10: [0x0b] } }), {}],
    ['a certificate that has expired', 'expiredCollateral', honest, { now: NOW + YEAR + 1 }],
    ['a revoked ASK', 'revoked', honest, { collateral: [vcek, ask, ark, crlOf({ serials: [5, 77] })] }],
    [
      'a revoked ASK, by a list that has expired since',
      'revoked',
      honest,
      { collateral: [vcek, ask, ark, crlOf({ serials: [77], nextUpdate: NOW - 1 }), crlOf()] },
    ],
    [
      'an old revocation list',
      'expiredCollateral',
      honest,
      { collateral: [vcek, ask, ark, crlOf({ nextUpdate: NOW - 1 })] },
    ],
    [
      'a list of the future',
      'expiredCollateral',
      honest,
      { collateral: [vcek, ask, ark, crlOf({ thisUpdate: NOW + 1 })] },
    ],
    ['no revocation list', 'uncheckedRevocation', honest, { collateral: [vcek, ask, ark] }],
    [
      'a revocation list by somebody else',
      'uncheckedRevocation',
      honest,
      { collateral: [vcek, ask, ark, crlOf({ signer: signer('ASK') })] },
    ],
    [
      'no minimum for its processor',
      'unknownTcb',
      honest,
      { references: [references({ platforms: [{ model: 'Milan' }] })] },
    ],
    [
      'a TCB below the minimum in one number',
      'outdatedTcb',
      honest,
      { references: [references({ platforms: [{ minimum: { ...MILAN_TCB, microcode: 116 } }] })] },
    ],
    [
      'a TCB below one of two minimums',
      'outdatedTcb',
      honest,
      { references: [references(), references({ platforms: [{ minimum: { snp: 9 } }] })] },
    ],
    [
      'a processor that is not listed',
      'unknownPlatform',
      honest,
      { references: [references({ platforms: [{ model: 'Genoa' }] })] },
    ],
    [
      'a chip that is not listed',
      'unknownPlatform',
      honest,
      { references: [references({ platforms: [{ ids: ['00'] }] })] },
    ],
    ['another measurement', 'mismatch', report({ at: { 144: [0] } }), { references: [references()] }],
    ['software that is too old', 'mismatch', report({ at: { 4: [3] } }), { references: [references()] }],
  ]
  for (const [what, expected, evidence, change] of findings) {
    it(`finds ${what} (${expected})`, async () => {
      const clean = { references: [references()], ...change }
      const { cases } = await examined(evidence, clean)
      assert.ok((cases as readonly string[]).includes(expected), cases.join(' '))
    })
  }

  it('is believed about the software of reference values that name its platform, and no other', async () => {
    const genoa = references({ platforms: [{ model: 'Genoa' }] })
    const elsewhere = references({ measurements: [{ name: 'other', values: { MEASUREMENT: hex(1, 48) } }] })
    assert.deepEqual((await examined(honest, { references: [genoa, elsewhere] })).cases, ['mismatch'])
    assert.deepEqual((await examined(honest, { references: [genoa, references()] })).cases, ['match'])
    assert.deepEqual((await examined(honest, { references: [genoa] })).cases, [
      'mismatch',
      'unknownPlatform',
      'unknownTcb',
    ])
  })

  it('is undated, and refused for it, unless it answers a challenge', async () => {
    const { nonce: _, ...unasked } = examination
    const bound = report({ at: { 80: boundTo(spki, '') } })
    assert.deepEqual((await format.examine(bound, unasked)).cases, ['mismatch', 'unknownTcb', 'undated'])
    const { nonce: _nonce, ...input } = { ...inputOf(), evidence: bound }
    await assert.rejects(appraise(input), refused('stale_evidence'))
    const accepting = await appraise({ ...input, policy: policyOf({ accept: ['undated'] }) })
    assert.equal(accepting.tier, 'affirming')
    const claims = {
      match: { executables: 3 },
      mismatch: { executables: 33 },
      undated: { 'instance-identity': 40 },
    }
    assert.equal((await appraise({ ...input, policy: policyOf({ claims }) })).tier, 'warning')
  })
  const inputOf = () => ({
    evidence: honest,
    policyId: 'snp',
    policy: policyOf(),
    referenceValues: [references()],
    now: NOW,
    nonce: challenge,
    workloadKey,
    collateral,
  })

  it('makes by default a warning of what is old or unknown, and contraindicates what is open or revoked', async () => {
    const withoutList = { collateral: [vcek, ask, ark] }
    assert.deepEqual(vectorOf(await appraised(honest, withoutList))?.['instance-identity'], 32)
    assert.equal((await appraised(honest, withoutList)).tier, 'warning')
    const goesWithout = { ...withoutList, policy: policyOf({ accept: ['uncheckedRevocation'] }) }
    assert.equal((await appraised(honest, goesWithout)).tier, 'affirming')
    const revoked = { collateral: [vcek, ask, ark, crlOf({ serials: [77] })] }
    assert.equal((await appraised(honest, revoked)).tier, 'contraindicated')
    assert.equal((await appraised(report({ at: { 10: [0x0b] } }))).tier, 'contraindicated')
    const old = { referenceValues: [references({ platforms: [{ minimum: { snp: 9 } }] })] }
    assert.deepEqual(vectorOf(await appraised(honest, old))?.hardware, 32)
  })

  const issuedFor = (product: string, tcb: object, chip?: Uint8Array, change: Partial<CertificateContent> = {}) =>
    issued('VCEK', 'ASK', { extensions: endorsement(product, tcb as Record<string, number>, chip), ...change })
  const wrong: [what: string, code: string, evidence: Uint8Array, collateral: () => Uint8Array[]][] = [
    ['no certificate', 'missing_collateral', honest, () => []],
    ['no certificate of its key', 'missing_collateral', honest, () => [ask, ark]],
    ['no certificate of the ASK', 'missing_collateral', honest, () => [vcek, ark]],
    [
      'another chip’s certificate',
      'wrong_collateral',
      honest,
      () => [issuedFor('Milan', MILAN_TCB, new Uint8Array(64)), ask, ark],
    ],
    [
      'another TCB’s certificate',
      'wrong_collateral',
      honest,
      () => [issuedFor('Milan', { ...MILAN_TCB, snp: 9 }, CHIP), ask, ark],
    ],
    [
      'a certificate without a TCB',
      'wrong_collateral',
      honest,
      () => [issuedFor('Milan', { microcode: 115 }, CHIP), ask, ark],
    ],
    ['another line’s certificate', 'wrong_collateral', honest, () => [issuedFor('Turin', TURIN_TCB, CHIP), ask, ark]],
    [
      'a certificate of an unknown line',
      'wrong_collateral',
      honest,
      () => [issuedFor('Rome', MILAN_TCB, CHIP), ask, ark],
    ],
    [
      'another line’s certificate than its CPUID',
      'wrong_collateral',
      report({ version: 3, at: { 392: [0x19, 0x11, 1] } }),
      () => collateral,
    ],
    [
      'a VLEK’s certificate for a VCEK’s report',
      'wrong_collateral',
      honest,
      () => [issuedFor('Milan', MILAN_TCB), ask, ark],
    ],
    ['a VCEK’s certificate for a VLEK’s report', 'wrong_collateral', report({ at: { 72: [4] } }), () => collateral],
    [
      'a certificate with an extension that is no number',
      'malformed_collateral',
      honest,
      () => [
        issued('VCEK', 'ASK', {
          extensions: [
            ...endorsement('Milan', { bootloader: 3, tee: 0, snp: 8 }, CHIP),
            { id: '1.3.6.1.4.1.3704.1.3.8', value: Uint8Array.of(5, 0) },
          ],
        }),
        ask,
        ark,
      ],
    ],
    [
      'a certificate that an ASK did not sign',
      'bad_certificate_chain',
      honest,
      () => [issuedFor('Milan', MILAN_TCB, CHIP, { signer: signer('ARK') }), ask, ark],
    ],
    [
      'a certificate by a chip’s key',
      'bad_certificate_chain',
      honest,
      () => [vcek, issued('ASK', 'ARK', { extensions: [basicConstraints(false)] }), ark],
    ],
    ['another root', 'untrusted_root', honest, () => [vcek, ask, issued('ARK', 'ARK', { serial: 2 })]],
    ['a report by another key', 'bad_evidence_signature', report({ signer: 'VLEK' }), () => collateral],
    ['a report that nobody signed', 'malformed_evidence', report({ at: { 72: [0x1c] } }), () => collateral],
    ['a report of version 1', 'malformed_evidence', report({ version: 1 }), () => collateral],
    ['a report of version 6', 'malformed_evidence', report({ version: 6 }), () => collateral],
    ['a report of another algorithm', 'malformed_evidence', report({ at: { 52: [2] } }), () => collateral],
    ['reserved bytes in use', 'malformed_evidence', report({ at: { 76: [1] } }), () => collateral],
    [
      'reserved bytes of version 2 in use',
      'malformed_evidence',
      report({ at: { 392: [0x19, 1, 1] } }),
      () => collateral,
    ],
    [
      'a policy without the bit that is always one',
      'malformed_evidence',
      report({ at: { 10: [0x01] } }),
      () => collateral,
    ],
  ]
  for (const [what, code, evidence, files] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(examined(evidence, { collateral: files() }), refused(code)))
  }

  it('trusts AMD’s roots where no policy names others, and so refuses ours', async () => {
    const { roots: _, ...without } = examination
    await assert.rejects(format.examine(honest, without), refused('untrusted_root'))
  })

  refusesWhatIsHostile(() => ({ format, evidence: honest, examination }))
})

describe('a report with what the host appends to it', () => {
  const VCEK = '63da758de6644564adc5f4b93be8accd'
  const [ASK, ARK, CRL] = [
    '4ab7b379bbac4fe4a02f05aef327c782',
    'c0b406a4a803495297433fb6014cd0ae',
    '92f81bc358114d3d97ffd19f88dc67ea',
  ]
  const OWN = '11'.repeat(16)
  type Entry = readonly [guid: string, content: Uint8Array]
  const entry = (guid: string, offset: number, length: number) =>
    concatBytes(fromHex(guid), Uint8Array.from([...little(offset, 4), ...little(length, 4)]))
  function table(...entries: readonly Entry[]): Uint8Array {
    let offset = 24 * (entries.length + 1)
    const head = entries.map(([guid, { length }]) => {
      offset += length
      return entry(guid, offset - length, length)
    })
    return concatBytes(...head, new Uint8Array(24), ...entries.map(([, content]) => content))
  }
  const all: readonly Entry[] = [
    [VCEK, vcek],
    [OWN, utf8('of the cloud')],
    [ASK, ask],
    [ARK, ark],
    [CRL, crlOf()],
  ]
  const withTable = (...entries: readonly Entry[]) => concatBytes(honest, table(...entries))

  it('needs no other collateral, or takes the rest from there', async () => {
    const expected = ['mismatch', 'unknownTcb']
    assert.deepEqual((await examined(withTable(...all), { collateral: [] })).cases, expected)
    assert.deepEqual((await examined(withTable([VCEK, vcek]), { collateral: [ask, ark, crlOf()] })).cases, expected)
    assert.deepEqual((await examined(concatBytes(honest, new Uint8Array(4096)))).cases, expected)
  })

  it('is not believed for it', async () => {
    const { roots: _, ...withoutRoots } = examination
    await assert.rejects(format.examine(withTable(...all), withoutRoots), refused('untrusted_root'))
    const extensions = endorsement('Milan', MILAN_TCB, CHIP)
    const other = issued('VCEK', 'ASK', { extensions, signer: signer('ARK') })
    const forged = withTable([VCEK, other], [ASK, ask], [ARK, ark])
    await assert.rejects(examined(forged, { collateral: [] }), refused('bad_certificate_chain'))
  })

  const wrong: [what: string, code: string, after: () => Uint8Array][] = [
    ['part of an entry', 'malformed_evidence', () => new Uint8Array(23)],
    ['no end of entries', 'malformed_evidence', () => entry(VCEK, 0, 0)],
    ['entries without number', 'malformed_evidence', () => table(...Array.from({ length: 32 }, () => all[1]!))],
    ['an entry past the end', 'malformed_evidence', () => concatBytes(entry(OWN, 48, 1), new Uint8Array(24))],
    ['an entry of every byte there can be', 'malformed_evidence', () => new Uint8Array(48).fill(0xff)],
    ['text for a certificate', 'malformed_collateral', () => table([VCEK, utf8('vcek')])],
  ]
  for (const [what, code, after] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(examined(concatBytes(honest, after())), refused(code)))
  }
})

describe('revocation lists', () => {
  const lists: [what: string, code: string, list: () => Uint8Array][] = [
    ['of some reasons only', 'malformed_collateral', () => crlOf({ extensions: [critical('2.5.29.28')] })],
    ['that only say what changed', 'malformed_collateral', () => crlOf({ extensions: [critical('2.5.29.27')] })],
    ['of which a byte is missing', 'malformed_collateral', () => crlOf().subarray(0, -1)],
  ]
  function critical(id: string): Extension {
    return { id, critical: true, value: der(0x30) }
  }
  for (const [what, code, list] of lists) {
    it(`${what} are refused`, () =>
      assert.rejects(examined(honest, { collateral: [vcek, ask, ark, list()] }), refused(code)))
  }

  it('are bounded, and so is all collateral', async () => {
    const files = (count: number, file: Uint8Array) => Array.from({ length: count }, () => file)
    await assert.rejects(examined(honest, { collateral: files(33, ark) }), refused('malformed_collateral'))
    await assert.rejects(
      examined(honest, { collateral: [new Uint8Array(2 ** 20 + 1)] }),
      refused('malformed_collateral'),
    )
    const pem = utf8(
      Array.from({ length: 65 }, () => `-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----`).join('\n'),
    )
    await assert.rejects(examined(honest, { collateral: [pem] }), refused('malformed_collateral'))
  })
})

describe('the workload’s key in sev-snp evidence', () => {
  const reportOf = (data: Uint8Array) => report({ at: { 80: concatBytes(data, new Uint8Array(64 - data.length)) } })

  it('must be the one that was given, under the challenge that was given', async () => {
    await assert.rejects(examined(honest, { workloadKey: publicJwkOf(OTHER_ES256_JWK) }), refused('key_not_bound'))
    await assert.rejects(examined(honest, { nonce: 'another!' }), refused('key_not_bound'))
    const { workloadKey: _, ...keyless } = examination
    await assert.rejects(format.examine(honest, keyless), refused('workload_key_missing'))
  })

  it('may be bound by other digests, with zeros after them', async () => {
    const keyBinding = 'report_data=sha256(spki)'
    const bound = await examined(reportOf(sha256(spki)), { keyBinding })
    assert.deepEqual(bound.workloadKey, workloadKey)
    // The challenge is not in that digest.
    assert.equal(bound.nonce, undefined)
    const more = concatBytes(sha256(spki), Uint8Array.of(1))
    await assert.rejects(examined(reportOf(more), { keyBinding }), refused('key_not_bound'))
  })

  it('is not in a report that only answers the challenge', async () => {
    const { workloadKey: _, ...keyless } = examination
    const keyBinding = 'report_data=nonce'
    const found = await format.examine(reportOf(utf8(challenge)), { ...keyless, keyBinding })
    assert.equal(found.nonce, challenge)
    assert.equal(found.workloadKey, undefined)
    await assert.rejects(examined(reportOf(utf8(challenge)), { keyBinding }), refused('key_not_bound'))
    assert.equal((await format.examine(reportOf(utf8('challeng')), { ...keyless, keyBinding })).nonce, undefined)
  })
})
