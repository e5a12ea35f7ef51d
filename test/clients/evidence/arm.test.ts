import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { type CborKey, type CborValue, encodeCbor, publicJwkOf, tagged } from '../../../statement/index.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'
import { ecKeys, type Keys, sha256Hex } from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const challenge = 'challenge'
const workloadKey = publicJwkOf(ES256_JWK)
const psa = evidenceFormat('psa')
const cca = evidenceFormat('cca')

const device = ecKeys('P-256')
const platform = ecKeys('P-384')
const realmKeys = ecKeys('P-384')
const stranger = ecKeys('P-384')
const jwk = ({ publicKey }: Keys) => utf8(JSON.stringify(publicKey.export({ format: 'jwk' })))
const idOf = ({ publicKey }: Keys) => sha256Hex(publicKey.export({ format: 'der', type: 'spki' }))
const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte)
const sha = (hash: string, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash(hash)
      .update(concatBytes(...parts))
      .digest(),
  )
const bound = sha('sha512', utf8(challenge), spkiOfJwk(workloadKey))

type Claims = readonly (readonly [CborKey, CborValue | undefined])[]
const mapOf = (...claims: Claims) =>
  new Map(claims.filter((claim): claim is readonly [CborKey, CborValue] => claim[1] !== undefined))
/** Later claims replace earlier ones; `undefined` takes one away. */
const withChange = (claims: Claims, change: Claims) => mapOf(...new Map([...claims, ...change]))

interface Headers {
  readonly signed?: Claims
  readonly unsigned?: Claims
}
function token(claims: ReadonlyMap<CborKey, CborValue>, keys: Keys, alg = -35, headers: Headers = {}): Uint8Array {
  const header = encodeCbor(mapOf([1, alg], ...(headers.signed ?? [])))
  const payload = encodeCbor(claims)
  const signed = encodeCbor(['Signature1', header, new Uint8Array(), payload])
  const signature = sign(alg === -7 ? 'sha256' : 'sha384', signed, { key: keys.privateKey, dsaEncoding: 'ieee-p1363' })
  return encodeCbor(tagged(18, [header, mapOf(...(headers.unsigned ?? [])), payload, new Uint8Array(signature)]))
}

const component = (byte: number) =>
  new Map<CborKey, CborValue>([
    [1, 'BL'],
    [2, fill(32, byte)],
    [4, '1.0'],
    [5, fill(32, 9)],
  ])
const instanceId = concatBytes(Uint8Array.of(1), fill(32, 1))
const platformClaims: Claims = [
  [10, bound],
  [256, instanceId],
  [265, 'http://arm.com/psa/2.0.0'],
  [2394, 1],
  [2395, 0x3003],
  [2396, fill(32, 2)],
  [2399, [component(3), component(4)]],
]
const psaToken = (change: Claims = [], keys = device, headers: Headers = {}) =>
  token(withChange(platformClaims, change), keys, -7, headers)

/** Of PSA_IOT_PROFILE_1, which must have a boot seed. */
const firstClaims: Claims = [
  [-75000, 'PSA_IOT_PROFILE_1'],
  [-75001, -1],
  [-75002, 0x3003],
  [-75003, fill(32, 2)],
  [-75004, fill(32, 1)],
  [-75005, '1234567890123'],
  [-75006, [component(3), component(4)]],
  [-75008, bound],
  [-75009, concatBytes(Uint8Array.of(1), fill(32, 1))],
  [-75010, 'https://a.example'],
]
const firstToken = (change: Claims = []) => token(withChange(firstClaims, change), device, -7)

const { x, y } = realmKeys.publicKey.export({ format: 'jwk' })
const [realmX, realmY] = [x!, y!].map((part) => new Uint8Array(Buffer.from(part, 'base64url'))) as [
  Uint8Array,
  Uint8Array,
]
const point = concatBytes(Uint8Array.of(4), realmX, realmY)
const coseKey = encodeCbor(
  new Map<CborKey, CborValue>([
    [1, 2],
    [-1, 2],
    [-2, realmX],
    [-3, realmY],
  ]),
)
const realmClaims: Claims = [
  [10, bound],
  [44235, fill(64, 5)],
  [44236, 'sha-256'],
  [44237, point],
  [44238, fill(32, 6)],
  [44239, [0, 1, 2, 3].map((i) => fill(32, 0x70 + i))],
  [44240, 'sha-256'],
]

interface Change {
  readonly platform?: Claims
  readonly realm?: Claims
  readonly platformKeys?: Keys
  readonly realmSigner?: Keys
  readonly tag?: number
  /** Of the records of tag 907. */
  readonly type?: CborValue
  readonly more?: Claims
}
function ccaToken(change: Change = {}): Uint8Array {
  const realm = withChange(realmClaims, change.realm ?? [])
  const ofPlatform: Claims = [
    [10, sha('sha256', realm.get(44237) as Uint8Array)],
    [265, 'http://arm.com/CCA-SSD/1.0.0'],
    [2401, fill(4, 0)],
    [2402, 'sha-256'],
    ...(change.platform ?? []),
  ]
  const inRecord = (bytes: Uint8Array): CborValue => (change.type === undefined ? bytes : [change.type, bytes])
  const tokens = mapOf(
    [44234, inRecord(token(withChange(platformClaims, ofPlatform), change.platformKeys ?? platform))],
    [44241, inRecord(token(realm, change.realmSigner ?? realmKeys))],
    ...(change.more ?? []),
  )
  return encodeCbor(tagged(change.tag ?? 399, tokens))
}

/** Of the third draft. */
const records = { tag: 907, type: 263 }
const second = {
  ...records,
  platform: [
    [265, 'tag:arm.com,2024:cca_platform#2.0.0'],
    [2403, fill(4, 1)],
    [2404, [new Map<CborKey, CborValue>([[1, 1]])]],
    [2405, [new Map<CborKey, CborValue>([[1, fill(32, 1)]])]],
    [2406, fill(32, 1)],
  ],
  realm: [
    [265, 'tag:arm.com,2024:realm#2.0.0'],
    [44237, coseKey],
    [44243, 'private'],
  ],
} as const satisfies Change
const pem = ({ publicKey }: Keys) => utf8(String(publicKey.export({ format: 'pem', type: 'spki' })))

const references = (format: string, values: object, ids: readonly string[]) =>
  parseReferenceValues(
    utf8(JSON.stringify({ format, measurements: [{ name: 'payments', values }], platforms: [{ ids }] })),
  )
const ofPsa = references('psa', { 'component:0': toHex(fill(32, 3)), 'component:1': toHex(fill(32, 4)) }, [
  idOf(device),
])
const ofCca = references('cca', { RIM: toHex(fill(32, 6)), REM0: toHex(fill(32, 0x70)) }, [idOf(platform)])
const common = { now: NOW, nonce: challenge, workloadKey }
const forPsa: Examination = { ...common, references: [ofPsa], collateral: [jwk(device)] }
const forCca: Examination = { ...common, references: [ofCca], collateral: [jwk(stranger), jwk(platform)] }
const refused = (code: string) => ({ name: 'EvidenceError', code })
const policyOf = (format: string, match: object) =>
  parseAppraisalPolicy(
    utf8(
      JSON.stringify({
        format,
        maxEvidenceAgeSeconds: 300,
        resultLifetimeSeconds: 3600,
        claims: { match, mismatch: { executables: 33 } },
      }),
    ),
  )

describe('psa evidence', () => {
  it('takes all that a token may have', async () => {
    const all: Claims = [
      [2394, -1],
      [2397, fill(8, 1)],
      [2398, '1234567890123-12345'],
      [2400, 'https://a.example'],
    ]
    assert.deepEqual((await psa.examine(psaToken(all), forPsa)).cases, ['match'])
  })

  it('affirms the reference software of an enrolled device, in both profiles', async () => {
    for (const profile of ['http://arm.com/psa/2.0.0', 'tag:psacertified.org,2023:psa#tfm']) {
      const { tier, keyThumbprint } = await appraise({
        evidence: psaToken([[265, profile]]),
        policyId: 'psa',
        policy: policyOf('psa', { 'instance-identity': 2, executables: 3 }),
        referenceValues: [ofPsa],
        ...common,
        collateral: [jwk(device)],
      })
      assert.equal(tier, 'affirming')
      assert.ok(keyThumbprint)
    }
  })

  it('says the same in the profile before, whether or not that is named', async () => {
    const now = (await psa.examine(psaToken(), forPsa)).measurement
    for (const change of [[], [[-75000, undefined]], [[-75005, '1234567890123-12345']]] as Claims[]) {
      const { cases, measurement, detail } = await psa.examine(firstToken(change), forPsa)
      assert.deepEqual([cases, measurement, detail['debug']], [['match'], now, false])
    }
  })

  it('takes the key in PEM, and a token that names its key or brings certificates', async () => {
    const hints: Headers[] = [
      { signed: [[4, fill(4, 1)]] },
      { signed: [[34, [-16, fill(32, 1)]]], unsigned: [[33, fill(9, 1)]] },
      { unsigned: [[4, fill(4, 1)]] },
    ]
    for (const headers of hints) {
      const { cases } = await psa.examine(psaToken([], device, headers), { ...forPsa, collateral: [pem(device)] })
      assert.deepEqual(cases, ['match'])
    }
  })

  it('of a device that nobody enrolled says nothing', async () => {
    const { references: _, ...rest } = forPsa
    const { cases, workloadKey: key } = await psa.examine(psaToken(), { ...rest, references: [] })
    assert.deepEqual([cases, key], [['unknownAttester'], undefined])
  })

  it('is of the software that it lists, whole and one by one', async () => {
    const { cases, detail } = await psa.examine(psaToken([[2399, [component(3), component(5)]]]), forPsa)
    assert.deepEqual(cases, ['mismatch'])
    assert.deepEqual(detail['different'], ['component:1'])
    const { COMPONENTS } = (await psa.examine(psaToken(), forPsa)).detail['measurements'] as Record<string, string>
    const whole = { ...forPsa, references: [references('psa', { COMPONENTS }, [idOf(device)])] }
    assert.deepEqual((await psa.examine(psaToken(), whole)).cases, ['match'])
    const more = psaToken([[2399, [component(3), component(4), component(5)]]])
    assert.deepEqual((await psa.examine(more, whole)).cases, ['mismatch'])
  })

  it('finds every state of life but the secured one to be open', async () => {
    for (const [state, open] of [
      [0x3000, false],
      [0x30ff, false],
      [0x2000, true],
      [0x4000, true],
      [0x5000, true],
    ] as const) {
      const { cases } = await psa.examine(psaToken([[2395, state]]), forPsa)
      assert.equal((cases as readonly string[]).includes('debug'), open, state.toString(16))
    }
  })

  const wrong: [what: string, code: string, evidence: () => Uint8Array, change?: Partial<Examination>][] = [
    ['another key', 'bad_evidence_signature', () => psaToken(), { collateral: [jwk(ecKeys('P-256'))] }],
    ['a key of another curve', 'bad_evidence_signature', () => psaToken(), { collateral: [jwk(platform)] }],
    ['no key', 'missing_collateral', () => psaToken(), { collateral: [] }],
    ['JSON that is no key', 'malformed_collateral', () => psaToken(), { collateral: [utf8('{}')] }],
    [
      'a point that is on no curve',
      'malformed_collateral',
      () => psaToken(),
      { collateral: [utf8('{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}')] },
    ],
    ['another challenge', 'key_not_bound', () => psaToken(), { nonce: 'another!' }],
    ['another profile', 'malformed_evidence', () => psaToken([[265, 'PSA_IOT_PROFILE_1']])],
    ['no software', 'malformed_evidence', () => psaToken([[2399, []]])],
    [
      'a measurement that is no hash',
      'malformed_evidence',
      () => psaToken([[2399, [component(3).set(2, fill(31, 1))]]]),
    ],
    ['no instance', 'malformed_evidence', () => psaToken([[256, undefined]])],
    ['an instance id of another type', 'malformed_evidence', () => psaToken([[256, fill(33, 2)]])],
    ['no client', 'malformed_evidence', () => psaToken([[2394, undefined]])],
    ['a lifecycle of no state', 'malformed_evidence', () => psaToken([[2395, 0x3100]])],
    ['a lifecycle past them all', 'malformed_evidence', () => psaToken([[2395, 0xffff]])],
    ['a lifecycle that ends as the secured one', 'malformed_evidence', () => psaToken([[2395, 0x1_0000_3000]])],
    ['a header that must be understood', 'malformed_evidence', () => psaToken([], device, { signed: [[2, [4]]] })],
    ['an algorithm that nobody signed', 'malformed_evidence', () => psaToken([], device, { unsigned: [[1, -7]] })],
    ['a short boot seed', 'malformed_evidence', () => psaToken([[2397, fill(7, 1)]])],
    ['a long boot seed', 'malformed_evidence', () => psaToken([[2397, fill(33, 1)]])],
    [
      'a certification reference of the profile before',
      'malformed_evidence',
      () => psaToken([[2398, '1234567890123']]),
    ],
    ['a verification service without a name', 'malformed_evidence', () => psaToken([[2400, '']])],
    ['a realm’s token', 'malformed_evidence', () => ccaToken()],
    ['a token under a MAC', 'malformed_evidence', () => Uint8Array.of(0xd1, ...psaToken().subarray(1))],
    [
      'a token whose protected header is empty',
      'malformed_evidence',
      () => encodeCbor(tagged(18, [new Uint8Array(), new Map(), fill(9, 1), fill(64, 1)])),
    ],
    ['claims of two profiles', 'malformed_evidence', () => firstToken([[10, bound]])],
    ['claims of two profiles, all of both', 'malformed_evidence', () => psaToken(firstClaims)],
    [
      'the name of another profile in the one before',
      'malformed_evidence',
      () => firstToken([[-75000, 'http://arm.com/psa/2.0.0']]),
    ],
    ['no boot seed, where there must be one', 'malformed_evidence', () => firstToken([[-75004, undefined]])],
    ['a short boot seed, where it has one length', 'malformed_evidence', () => firstToken([[-75004, fill(8, 1)]])],
    [
      'a device that measured no software',
      'malformed_evidence',
      () =>
        firstToken([
          [-75006, undefined],
          [-75007, 1],
        ]),
    ],
  ]
  for (const [what, code, evidence, change] of wrong) {
    it(`refuses ${what} (${code})`, () =>
      assert.rejects(psa.examine(evidence(), { ...forPsa, ...change }), refused(code)))
  }

  refusesWhatIsHostile(() => ({ format: psa, evidence: psaToken(), examination: forPsa }))
})

describe('cca evidence', () => {
  it('affirms the reference realm on an enrolled platform', async () => {
    const { tier, claims } = await appraise({
      evidence: ccaToken(),
      policyId: 'cca',
      policy: policyOf('cca', { 'instance-identity': 2, executables: 3, 'runtime-opaque': 2 }),
      referenceValues: [ofCca],
      ...common,
      collateral: [jwk(platform)],
    })
    assert.equal(tier, 'affirming')
    assert.equal(claims.appraisals.get('cca')!.annotatedEvidence?.['keyBinding'], 'challenge=sha512(nonce|spki)')
  })

  it('is read with the key of the realm as a COSE_Key, too', async () => {
    const realm: Claims = [
      [265, 'tag:arm.com,2023:realm#1.0.0'],
      [44237, coseKey],
    ]
    const evidence = ccaToken({ realm, platform: [[265, 'tag:arm.com,2023:cca_platform#1.0.0']] })
    assert.deepEqual((await cca.examine(evidence, forCca)).cases, ['match'])
  })

  it('is of the realm that was measured, on the platform that was', async () => {
    const { cases, detail } = await cca.examine(ccaToken({ realm: [[44238, fill(32, 7)]] }), forCca)
    assert.deepEqual(cases, ['mismatch'])
    assert.deepEqual(detail['different'], ['RIM'])
    const measurements = detail['measurements'] as Record<string, string>
    assert.equal(measurements['REM3'], toHex(fill(32, 0x73)))
    assert.equal(measurements['component:1'], toHex(fill(32, 4)))
  })

  it('is the same in records, as the third draft has it', async () => {
    const { measurement } = await cca.examine(ccaToken(), forCca)
    const inRecords = await cca.examine(ccaToken(records), forCca)
    assert.deepEqual([inRecords.cases, inRecords.measurement], [['match'], measurement])
  })

  it('of the second version says whether the realm has its memory’s key to itself', async () => {
    const { cases, detail } = await cca.examine(ccaToken(second), forCca)
    assert.deepEqual(cases, ['match'])
    assert.equal((detail['measurements'] as Record<string, string>)['MEC_POLICY'], '01')
    const shared = ccaToken({ ...second, realm: [...second.realm, [44243, 'shared']] })
    const ofPrivate = references('cca', { RIM: toHex(fill(32, 6)), MEC_POLICY: '01' }, [idOf(platform)])
    const examination = { ...forCca, references: [ofPrivate] }
    assert.deepEqual((await cca.examine(ccaToken(second), examination)).cases, ['match'])
    assert.deepEqual((await cca.examine(shared, examination)).cases, ['mismatch'])
    // In numbers, as the specification of the RMM has it, and on a platform of the first version.
    const inNumbers = ccaToken({ ...records, realm: [...second.realm, [44243, 1], [44244, 0], [256, instanceId]] })
    const examined = await cca.examine(inNumbers, examination)
    assert.deepEqual(examined.cases, ['match'])
    assert.equal((examined.detail['measurements'] as Record<string, string>)['LFA_POLICY'], '00')
    // Of the first version nothing is known of it.
    assert.deepEqual((await cca.examine(ccaToken(records), examination)).cases, ['mismatch'])
  })

  const wrong: [what: string, code: string, evidence: () => Uint8Array][] = [
    [
      'a platform that vouches for another realm',
      'bad_evidence_signature',
      () => ccaToken({ platform: [[10, fill(32, 1)]] }),
    ],
    ['a realm that somebody else signed for', 'bad_evidence_signature', () => ccaToken({ realmSigner: stranger })],
    ['a platform that was not given', 'bad_evidence_signature', () => ccaToken({ platformKeys: realmKeys })],
    ['a hash that nobody knows', 'malformed_evidence', () => ccaToken({ realm: [[44240, 'md5']] })],
    ['a realm measured with a hash that nobody knows', 'malformed_evidence', () => ccaToken({ realm: [[44236, '']] })],
    ['a platform without configuration', 'malformed_evidence', () => ccaToken({ platform: [[2401, undefined]] })],
    ['a platform without a hash', 'malformed_evidence', () => ccaToken({ platform: [[2402, undefined]] })],
    ['a key of another kind', 'malformed_evidence', () => ccaToken({ realm: [[44237, fill(97, 1)]] })],
    ['a realm without a challenge', 'malformed_evidence', () => ccaToken({ realm: [[10, undefined]] })],
    [
      'three extensible measurements',
      'malformed_evidence',
      () => ccaToken({ realm: [[44239, [fill(32, 1), fill(32, 1), fill(32, 1)]]] }),
    ],
    ['another tag', 'malformed_evidence', () => ccaToken({ tag: 907 })],
    ['one token for two', 'malformed_evidence', () => psaToken()],
    ['records under the tag without', 'malformed_evidence', () => ccaToken({ ...records, tag: 399 })],
    ['records of another type', 'malformed_evidence', () => ccaToken({ ...records, type: 601 })],
    [
      'a token of devices besides',
      'malformed_evidence',
      () => ccaToken({ ...records, more: [[44258, [601, fill(4, 1)]]] }),
    ],
    [
      'a realm with devices',
      'malformed_evidence',
      () => ccaToken({ ...second, realm: [...second.realm, [44257, fill(32, 1)]] }),
    ],
    [
      'a realm whose instance id is of another type',
      'malformed_evidence',
      () => ccaToken({ ...second, realm: [...second.realm, [256, fill(33, 2)]] }),
    ],
    [
      'a policy on live firmware of no kind',
      'malformed_evidence',
      () => ccaToken({ ...second, realm: [...second.realm, [44244, 2]] }),
    ],
    [
      'a realm of the second version that says nothing of its memory',
      'malformed_evidence',
      () => ccaToken({ ...second, realm: [...second.realm, [44243, undefined]] }),
    ],
    [
      'a memory encryption of no kind',
      'malformed_evidence',
      () => ccaToken({ ...second, realm: [...second.realm, [44243, 'constructor']] }),
    ],
    [
      'a platform of the second version for another client',
      'malformed_evidence',
      () => ccaToken({ ...second, platform: [...second.platform, [2394, 2]] }),
    ],
    ...[2403, 2404, 2405, 2406].map((claim): [string, string, () => Uint8Array] => [
      `a platform of the second version whose claim ${claim} is of another form`,
      'malformed_evidence',
      () => ccaToken({ ...second, platform: [...second.platform, [claim, '']] }),
    ]),
    ['a device’s token', 'malformed_evidence', () => psaToken()],
  ]
  for (const [what, code, evidence] of wrong) {
    it(`refuses ${what} (${code})`, () => assert.rejects(cca.examine(evidence(), forCca), refused(code)))
  }

  refusesWhatIsHostile(() => ({ format: cca, evidence: ccaToken(), examination: forCca }))
})
