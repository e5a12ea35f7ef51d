import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { ES256_JWK, OTHER_ES256_JWK } from '../../statement/fixtures.ts'
import {
  basicConstraints,
  type CertificateContent,
  certificate,
  type Extension,
  ecKeys,
  integer,
  keyUsage,
  octets,
  oid,
  pem,
  revocationList,
  seq,
  sha256Hex,
} from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const YEAR = 31_536_000
const workloadKey = publicJwkOf(ES256_JWK)
const challenge = 'challenge'
const gpu = evidenceFormat('nvidia-gpu')

const keys = {
  root: ecKeys('P-384'),
  identity: ecKeys('P-384'),
  provisioner: ecKeys('P-384'),
  device: ecKeys('P-384'),
  leaf: ecKeys('P-384'),
}
type Party = keyof typeof keys
const NAMES = {
  root: 'NVIDIA Device Identity CA',
  identity: 'NVIDIA GH100 Identity',
  provisioner: 'NVIDIA GH100 Provisioner ICA 1',
  device: 'GH100 A01 GSP BROM',
  leaf: 'GH100 A01 GSP FMC LF',
}
const authority = [basicConstraints(true), keyUsage(0x06)]
const FIRMWARE = new Uint8Array(48).fill(0xf1)

const fwid = (value: Uint8Array): Extension => ({
  id: '2.23.133.5.4.1',
  value: seq(integer(1), seq(), seq(oid('2.16.840.1.101.3.4.2.2'), octets(value))),
})

function issued(subject: Party, issuer: Party, change: Partial<CertificateContent> = {}): Uint8Array {
  return certificate({
    subject: NAMES[subject],
    issuer: NAMES[issuer],
    notBefore: NOW - YEAR,
    notAfter: NOW + YEAR,
    publicKey: keys[subject].publicKey,
    extensions: authority,
    signer: { key: keys[issuer].privateKey, algorithm: 'ES384' },
    ...change,
  })
}

const root = issued('root', 'root')
const above = [
  issued('device', 'provisioner', { serial: 41 }),
  issued('provisioner', 'identity', { serial: 31 }),
  issued('identity', 'root', { serial: 21 }),
  root,
]
const leaf = issued('leaf', 'device', { serial: 77, extensions: [keyUsage(0x80), fwid(FIRMWARE)] })
const chain = [leaf, ...above]
const list = (issuer: Party, serials: readonly number[] = []) =>
  revocationList({
    issuer: NAMES[issuer],
    thisUpdate: NOW - 60,
    nextUpdate: NOW + 60,
    serials,
    signer: { key: keys[issuer].privateKey, algorithm: 'ES384' },
  })
const lists = [list('root'), list('identity'), list('provisioner')]
const pems = (certificates: readonly Uint8Array[]) => certificates.map((each) => pem('CERTIFICATE', each)).join('')

const little = (value: number, bytes: number) =>
  Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)
const block = (index: number, value: Uint8Array) =>
  concatBytes(Uint8Array.of(index, 1), little(value.length + 3, 2), Uint8Array.of(1), little(value.length, 2), value)
const field = (type: number, value: Uint8Array) => concatBytes(little(type, 2), little(value.length, 2), value)
const DRIVER = utf8('550.90.07\0')
const bound = (nonce: string, key = workloadKey) =>
  new Uint8Array(
    createHash('sha256')
      .update(concatBytes(utf8(nonce), spkiOfJwk(key)))
      .digest(),
  )

interface Change {
  readonly request?: readonly number[]
  readonly nonce?: Uint8Array
  readonly blocks?: readonly Uint8Array[]
  readonly count?: number
  readonly opaque?: readonly Uint8Array[]
}

function report({ request = [0x11, 0xe0, 1, 0xff], nonce = bound(challenge), ...change }: Change = {}): Uint8Array {
  const blocks = change.blocks ?? [block(1, new Uint8Array(48).fill(1)), block(2, new Uint8Array(48).fill(2))]
  const opaque = concatBytes(
    ...(change.opaque ?? [
      field(3, DRIVER),
      field(6, Uint8Array.of(0, 0x9f, 0, 0x96, 1, 0, 0, 0)),
      field(20, FIRMWARE),
    ]),
  )
  const record = concatBytes(...blocks)
  const signed = concatBytes(
    Uint8Array.from(request),
    nonce,
    Uint8Array.of(0, 0x11, 0x60, 0, 0, change.count ?? blocks.length),
    little(record.length, 3),
    record,
    new Uint8Array(32).fill(9),
    little(opaque.length, 2),
    opaque,
  )
  const signature = sign('sha384', signed, { key: keys.leaf.privateKey, dsaEncoding: 'ieee-p1363' })
  return concatBytes(signed, signature)
}

const honest = report()
const examination: Examination = {
  references: [],
  now: NOW,
  collateral: [utf8(pems(chain)), ...lists],
  roots: [sha256Hex(root)],
  nonce: challenge,
  workloadKey,
}
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  gpu.examine(evidence, { ...examination, ...change })

/** As NVIDIA’s SDK collects it. */
const collected = (...reports: readonly Uint8Array[]) =>
  reports.map((each) => ({
    arch: 'HOPPER',
    certificate: Buffer.from(pems(chain)).toString('base64'),
    evidence: Buffer.from(each).toString('base64'),
    nonce: toHex(each.subarray(4, 36)),
  }))
const json = (value: unknown) => utf8(JSON.stringify(value))

const hex = (byte: number) => Buffer.alloc(48, byte).toString('hex')
const references = parseReferenceValues(
  json({
    format: 'nvidia-gpu',
    measurements: [
      {
        name: 'GH100',
        version: '550.90.07',
        values: {
          'measurement:1': hex(1),
          DRIVER_VERSION: toHex(utf8('550.90.07')),
          VBIOS_VERSION: toHex(utf8('96.00.9F.00.01')),
        },
      },
    ],
    platforms: [{ model: 'GH100 A01 GSP BROM', ids: ['4d'] }],
  }),
)
const policy = (change: object = {}) =>
  parseAppraisalPolicy(
    json({
      format: 'nvidia-gpu',
      maxEvidenceAgeSeconds: 300,
      resultLifetimeSeconds: 3600,
      claims: { match: { hardware: 2, executables: 3 }, mismatch: { executables: 33 } },
      ...change,
    }),
  )

describe('a report of an NVIDIA GPU', () => {
  it('says what was measured, where, and whose key its nonce names', async () => {
    const { cases, detail, workloadKey: found, nonce } = await examined(honest, { references: [references] })
    assert.deepEqual(cases, ['match'])
    assert.equal(nonce, challenge)
    assert.deepEqual(found, workloadKey)
    assert.deepEqual(detail['platform'], { model: 'GH100 A01 GSP BROM', id: '4d' })
    assert.equal(detail['keyBinding'], 'nonce=sha256(nonce|spki)')
    const { VBIOS_VERSION, DRIVER_VERSION } = detail['measurements'] as Record<string, string>
    assert.equal(Buffer.from(VBIOS_VERSION!, 'hex').toString(), '96.00.9F.00.01')
    assert.equal(Buffer.from(DRIVER_VERSION!, 'hex').toString(), '550.90.07')
  })

  it('is the same as hexadecimal text, with zeros after it, and as the SDK collects it', async () => {
    const { measurement } = await examined(honest)
    for (const evidence of [
      utf8(`${toHex(honest)}\n`),
      utf8(toHex(honest).toUpperCase()),
      concatBytes(honest, Uint8Array.of(0)),
      json(collected(honest)),
    ]) {
      assert.deepEqual((await examined(evidence)).measurement, measurement)
    }
  })

  it('of two GPUs is two submodules, and as bad as the worse', async () => {
    const other = report({ blocks: [block(1, new Uint8Array(48).fill(3))] })
    const { claims, tier, keyThumbprint } = await appraise({
      evidence: json(collected(honest, other)),
      policyId: 'gpus',
      policy: policy({ roots: examination.roots }),
      referenceValues: [references],
      collateral: lists,
      now: NOW,
      nonce: challenge,
      workloadKey,
    })
    assert.equal(tier, 'warning')
    assert.deepEqual(
      [...claims.appraisals].map(([label, { status }]) => [label, status]),
      [
        ['GPU-0', 'affirming'],
        ['GPU-1', 'warning'],
      ],
    )
    assert.ok(keyThumbprint)
    // One that answers another challenge sinks all of it.
    const replayed = json(collected(honest, report({ nonce: bound('another') })))
    await assert.rejects(examined(replayed), { code: 'key_not_bound' })
  })

  it('answers a challenge that is hexadecimal, as NVIDIA’s tools send it', async () => {
    const nonce = '931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb'
    const evidence = report({ nonce: new Uint8Array(Buffer.from(nonce, 'hex')) })
    const { workloadKey: _none, ...without } = examination
    const answer = await gpu.examine(evidence, { ...without, nonce, keyBinding: 'nonce=hex(nonce)' })
    assert.equal(answer.nonce, nonce)
    assert.equal(answer.workloadKey, undefined)
    const wrong = await gpu.examine(evidence, { ...without, nonce: `${nonce}00`, keyBinding: 'nonce=hex(nonce)' })
    assert.deepEqual(wrong.cases, ['mismatch', 'undated'])
  })

  const found: [what: string, cases: readonly string[], change: Partial<Examination>][] = [
    ['no lists', ['mismatch', 'uncheckedRevocation'], { collateral: [utf8(pems(chain))] }],
    [
      'a device on hold',
      ['mismatch', 'revoked'],
      { collateral: [utf8(pems(chain)), list('root'), list('identity'), list('provisioner', [41])] },
    ],
    [
      'a line of devices withdrawn',
      ['mismatch', 'revoked'],
      { collateral: [utf8(pems(chain)), list('root', [21]), ...lists.slice(1)] },
    ],
    ['certificates that have expired', ['mismatch', 'expiredCollateral'], { now: NOW + 2 * YEAR }],
  ]
  for (const [what, cases, change] of found) {
    it(`with ${what} is ${cases.join(', ')}`, async () =>
      assert.deepEqual((await examined(honest, change)).cases, cases))
  }

  const refused: [what: string, code: string, evidence: () => Uint8Array, change?: Partial<Examination>][] = [
    ['another signature', 'bad_evidence_signature', () => honest.with(honest.length - 1, honest.at(-1)! ^ 1)],
    ['another challenge', 'key_not_bound', () => honest, { nonce: 'another!' }],
    ['another key', 'key_not_bound', () => honest, { workloadKey: publicJwkOf(OTHER_ES256_JWK) }],
    ['another root', 'untrusted_root', () => honest, { roots: ['00'.repeat(32)] }],
    ['NVIDIA’s root, as by default', 'untrusted_root', () => honest, { roots: undefined as never }],
    ['no certificates', 'missing_collateral', () => honest, { collateral: [] }],
    [
      'a chain with a gap',
      'missing_collateral',
      () => honest,
      { collateral: [utf8(pems([leaf, above[0]!, above[2]!, root]))] },
    ],
    ['certificates of other firmware', 'wrong_collateral', () => report({ opaque: [field(20, new Uint8Array(48))] })],
    ['a switch', 'wrong_format', () => honest, { collateral: [utf8(pems(switchChain()))] }],
    ['a request for one measurement', 'malformed_evidence', () => report({ request: [0x11, 0xe0, 1, 1] })],
    ['a request for no signature', 'malformed_evidence', () => report({ request: [0x11, 0xe0, 0, 0xff] })],
    ['SPDM 1.2', 'malformed_evidence', () => report({ request: [0x12, 0xe0, 1, 0xff] })],
    [
      'a block twice',
      'malformed_evidence',
      () => report({ blocks: [block(1, new Uint8Array(48)), block(1, new Uint8Array(48))] }),
    ],
    ['a block of another size', 'malformed_evidence', () => report({ blocks: [block(1, new Uint8Array(20))] })],
    ['fewer blocks than it says', 'malformed_evidence', () => report({ count: 3 })],
    ['more blocks than it says', 'malformed_evidence', () => report({ count: 1 })],
    ['an opaque field twice', 'malformed_evidence', () => report({ opaque: [field(3, DRIVER), field(3, DRIVER)] })],
    ['opaque data that end in a field', 'malformed_evidence', () => report({ opaque: [Uint8Array.of(3, 0, 9, 0, 1)] })],
    [
      'a nonce beside it that is not in it',
      'malformed_evidence',
      () => json([{ ...collected(honest)[0], nonce: '00'.repeat(32) }]),
    ],
    ['no device', 'malformed_evidence', () => json([])],
    [
      'more devices than there are',
      'malformed_evidence',
      () => json(Array.from({ length: 65 }, () => collected(honest)[0])),
    ],
    ['a list of something else', 'malformed_evidence', () => json([{ evidence: 'AAAA' }])],
    [
      'certificates that are none',
      'malformed_evidence',
      () => json([{ ...collected(honest)[0], certificate: 'AAAA' }]),
    ],
    ['text', 'malformed_evidence', () => utf8('GPU')],
    ['nothing', 'malformed_evidence', () => new Uint8Array()],
  ]
  for (const [what, code, evidence, change] of refused) {
    it(`with ${what} is refused (${code})`, async () => {
      await assert.rejects(examined(evidence(), change), { name: 'EvidenceError', code })
    })
  }

  it('affirms nothing of a switch’s name by a policy for GPUs, and nothing that it cannot know', () => {
    for (const claims of [{ match: { 'runtime-opaque': 2 }, mismatch: { executables: 33 } }]) {
      assert.throws(() => policy({ claims }), { code: 'unsupported_claim' })
    }
  })
})

function switchChain(): Uint8Array[] {
  const name = { subject: 'LS_10 A01 FSP BROM', serial: 41 }
  return [
    issued('leaf', 'device', { issuer: name.subject, serial: 77, extensions: [keyUsage(0x80), fwid(FIRMWARE)] }),
    issued('device', 'provisioner', name),
    ...above.slice(1),
  ]
}

describe('hostile reports of an NVIDIA GPU', () => {
  refusesWhatIsHostile(() => ({ format: gpu, evidence: honest, examination, padding: 3 }))
})
