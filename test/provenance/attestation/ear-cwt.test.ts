import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { importSigningKey } from '#signature'
import { concatBytes, fromHex, toBase64url, utf8 } from '../../../merkle/bytes.ts'
import { kidOfResult, verifyEar } from '../../../provenance/attestation/attestation-result.ts'
import {
  EAR_PROFILE,
  type EarClaims,
  readEarClaims,
  TRUSTEE_PROFILE,
  tierOfResult,
  VERAISON_PROFILE,
} from '../../../provenance/attestation/ear-claims.ts'
import { decodeEarCwt } from '../../../provenance/attestation/ear-cwt.ts'
import { decodeLooseCbor } from '../../../provenance/attestation/loose-cbor.ts'
import { type CborKey, type CborValue, encodeCbor, tagged } from '../../../statement/cbor.ts'
import { publicJwkOf } from '../../../statement/cose-key.ts'
import { sigStructure } from '../../../statement/cose-sign1.ts'
import { newKey } from '../world.ts'

const key = newKey()
type Entries = readonly (readonly [CborKey, CborValue])[]

/** The claims of `ear-cbor-1.diag` of the draft, and what is added or changed. */
const claims = (change: Entries = [], part: Entries = []) =>
  new Map<CborKey, CborValue>([
    [265, EAR_PROFILE],
    [6, 1_666_529_184],
    [
      1004,
      new Map([
        [0, 'https://veraison-project.org'],
        [1, 'vts 0.0.1'],
      ]),
    ],
    [1002, fromHex('6c696665626f61746d616e')],
    [
      266,
      new Map([
        [
          'PSA',
          new Map<CborKey, CborValue>([
            [1000, 96],
            [
              1001,
              new Map([
                [0, 2],
                [2, 96],
                [4, 2],
              ]),
            ],
            [1003, ['https://veraison.example/policy/1/60a0068d']],
            ...part,
          ]),
        ],
      ]),
    ],
    ...change,
  ])

interface Form {
  readonly header?: Entries
  readonly unprotected?: Entries
  readonly tags?: readonly number[]
}

async function signed(payload: Uint8Array, { header = [], unprotected = [], tags = [18] }: Form = {}) {
  const protectedBytes = encodeCbor(new Map<CborKey, CborValue>([[1, -7], ...header]))
  const signature = await (await importSigningKey(key)).sign(sigStructure(protectedBytes, payload))
  const array: CborValue = [protectedBytes, new Map(unprotected), payload, signature]
  return encodeCbor(tags.reduce<CborValue>((value, tag) => tagged(tag, value), array))
}
const verified = async (payload: Uint8Array, form?: Form): Promise<EarClaims> =>
  verifyEar(await signed(payload, form), publicJwkOf(key))
const read = (change?: Entries, part?: Entries) => verified(encodeCbor(claims(change, part)))

describe('an attestation result as a CWT', () => {
  it('says what its JSON twin says', async () => {
    const result = await read()
    assert.equal(tierOfResult(result), 'contraindicated')
    const { profile, appraisals, ...rest } = result
    assert.equal(profile, undefined)
    assert.deepEqual(rest, {
      issuedAt: 1_666_529_184,
      verifier: { developer: 'https://veraison-project.org', build: 'vts 0.0.1' },
      rawEvidence: fromHex('6c696665626f61746d616e'),
    })
    assert.deepEqual(appraisals.get('PSA'), {
      status: 'contraindicated',
      vector: { 'instance-identity': 2, executables: 96, hardware: 2 },
      policyIds: ['https://veraison.example/policy/1/60a0068d'],
    })
  })

  it('is read with either tag, both, or none, and names a key in either header', async () => {
    const payload = encodeCbor(claims())
    for (const tags of [[], [18]]) assert.equal((await verified(payload, { tags })).issuedAt, 1_666_529_184)
    const both = concatBytes(fromHex('d83d'), await signed(payload))
    assert.equal((await verifyEar(both, publicJwkOf(key))).issuedAt, 1_666_529_184)
    const kid: Entries = [[4, utf8('a key')]]
    assert.equal(kidOfResult(await signed(payload, { header: kid })), 'a key')
    assert.equal(kidOfResult(await signed(payload, { unprotected: kid })), 'a key')
    assert.equal(kidOfResult(await signed(payload)), undefined)
    await assert.rejects(verified(payload, { header: kid, unprotected: kid }), { code: 'malformed_result' })
  })

  it('carries extensions: annotated evidence with bytes in base64url, policy claims, an attested key', async () => {
    const spki = fromHex('3059')
    const result = await read(
      [[10, [utf8('challenge'), fromHex('ff00112233445566')]]],
      [
        [
          -70000,
          new Map<CborKey, CborValue>([
            ['psa-nonce', fromHex('0102')],
            [7, true],
          ]),
        ],
        [-70001, new Map([['psa-certified', new Map([['test-lab', 'Riscure']])]])],
        [-70002, new Map([['akpub', spki]])],
      ],
    )
    const part = result.appraisals.get('PSA')
    assert.equal(JSON.stringify(part?.annotatedEvidence), '{"7":true,"psa-nonce":"AQI"}')
    assert.equal(JSON.stringify(part?.policyClaims), '{"psa-certified":{"test-lab":"Riscure"}}')
    assert.deepEqual(part?.attestedKey, spki)
    assert.deepEqual(result.nonces, ['challenge', toBase64url(fromHex('ff00112233445566'))])
  })

  it('is read of the older dialects, in the encoding of whoever wrote it', async () => {
    for (const profile of [VERAISON_PROFILE, TRUSTEE_PROFILE]) {
      // Indefinite lengths, as Rust’s serde writes every map; keys in the order of a struct.
      const payload = concatBytes(
        fromHex('bf190109'),
        encodeCbor(profile),
        fromHex('061a635500001903ecbf006164016162ff'),
        fromHex('19010abf6474657374bf1903e8021903e9bf0202ff1903eb6170ffffff'),
      )
      const result = await verified(payload)
      assert.equal(result.profile, profile)
      assert.deepEqual(result.appraisals.get('test')?.vector, { executables: 2 })
      assert.equal(result.appraisals.get('test')?.policyIds?.length, 1)
    }
  })

  const refused: [what: string, code: string, payload: () => Uint8Array][] = [
    ['a time that is a float', 'malformed_result', () => otherTime('fb41d8d54ee800000000'.slice(0, 18))],
    ['a time as text', 'malformed_result', () => encodeCbor(claims([[6, '1666529184']]))],
    ['a time past 2⁵³', 'malformed_result', () => otherTime('1bffffffffffffffff')],
    ['no profile', 'unsupported_profile', () => encodeCbor(new Map([[6, 1]]))],
    ['another profile', 'unsupported_profile', () => encodeCbor(claims([[265, 'http://arm.com/psa/2.0.0']]))],
    ['a profile as an OID', 'unsupported_profile', () => encodeCbor(claims([[265, fromHex('2b0601')]]))],
    ['a status by its name', 'malformed_result', () => encodeCbor(claims([], [[1000, 'affirming']]))],
    ['a status that is none', 'malformed_result', () => encodeCbor(claims([], [[1000, 3]]))],
    ['a status better than its claims', 'inconsistent_result', () => encodeCbor(claims([], [[1000, 2]]))],
    ['an overall status better than a part', 'inconsistent_result', () => encodeCbor(claims([[1000, 2]]))],
    ['a second status, spelt out', 'malformed_result', () => encodeCbor(claims([], [['ear_status', 'affirming']]))],
    ['one of another dialect', 'malformed_result', () => encodeCbor(claims([], [['ear.status', 'affirming']]))],
    ['a claim that does not exist', 'malformed_result', () => encodeCbor(claims([], [[1001, new Map([[8, 2]])]]))],
    ['an empty vector', 'malformed_result', () => encodeCbor(claims([], [[1001, new Map()]]))],
    [
      'a submodule with a number for a name',
      'malformed_result',
      () => encodeCbor(claims([[266, new Map([[1, new Map()]])]])),
    ],
    ['a nonce of 7 bytes', 'malformed_result', () => encodeCbor(claims([[10, utf8('1234567')]]))],
    ['a nonce as text', 'malformed_result', () => encodeCbor(claims([[10, 'challenge']]))],
    ['a second key', 'malformed_result', () => fromHex('a206010602')],
    ['claims that are no map', 'malformed_result', () => encodeCbor([])],
    ['bytes after the claims', 'malformed_result', () => concatBytes(encodeCbor(claims()), fromHex('00'))],
    ['deep nesting', 'malformed_result', () => new Uint8Array(5000).fill(0x81)],
    ['an array of 2⁶⁴ − 1', 'malformed_result', () => fromHex('9bffffffffffffffff')],
  ]
  for (const [what, code, payload] of refused) {
    it(`is refused with ${what} (${code})`, async () => {
      await assert.rejects(verified(payload()), { name: 'EvidenceError', code })
    })
  }

  it('is refused under another key, another algorithm, and with critical headers', async () => {
    const good = await signed(encodeCbor(claims()))
    await assert.rejects(verifyEar(good, publicJwkOf(newKey())), { code: 'bad_signature' })
    for (let bit = 0; bit < 8; bit++) {
      const bad = good.with(good.length - 1, good.at(-1)! ^ (1 << bit))
      await assert.rejects(verifyEar(bad, publicJwkOf(key)), { code: 'bad_signature' })
    }
    const payload = encodeCbor(claims())
    await assert.rejects(verified(payload, { header: [[1, -35]] }), { code: 'bad_signature' })
    await assert.rejects(verified(payload, { header: [[1, 5]] }), { code: 'unsupported_algorithm' })
    await assert.rejects(verified(payload, { header: [[2, [4]]] }), { code: 'unknown_critical_extension' })
    for (const bytes of [new Uint8Array(), utf8('eyJhbGciOiJFUzI1NiJ9.e30.AA'), encodeCbor([1, 2, 3, 4])]) {
      assert.throws(() => decodeEarCwt(bytes), { code: 'malformed_result' })
    }
  })

  it('is read as soon as its claims are, or refused with a code, cut short anywhere', async () => {
    const good = await signed(encodeCbor(claims()))
    for (let length = 0; length < good.length; length++) {
      assert.throws(() => decodeEarCwt(good.subarray(0, length)), { name: 'EvidenceError' })
    }
    assert.ok(readEarClaims(decodeEarCwt(good).claims()))
  })
})

/** The claims with `iat` encoded so. */
function otherTime(hex: string): Uint8Array {
  const [good, iat] = [encodeCbor(claims()), encodeCbor(1_666_529_184)].map((bytes) =>
    Buffer.from(bytes).toString('hex'),
  )
  return fromHex(good!.replace(`06${iat}`, `06${hex}`))
}

describe('loose CBOR', () => {
  it('reads what RFC 8949 appendix A encodes in more than one way', () => {
    for (const [hex, value] of [
      ['1818', 24],
      ['190018', 24],
      ['1b0000000000000018', 24],
      ['3903e7', -1000],
      ['5f42010243030405ff', fromHex('0102030405')],
      ['7f657374726561646d696e67ff', 'streaming'],
      ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
      [
        'bf61610161629f0203ffff',
        new Map<string, unknown>([
          ['a', 1],
          ['b', [2, 3]],
        ]),
      ],
    ] as const) {
      assert.deepEqual(decodeLooseCbor(fromHex(hex)), value, hex)
    }
  })

  it('keeps floats apart from integers, and reads half of them', () => {
    for (const [hex, literal] of [
      ['f93c00', '1'],
      ['f93e00', '1.5'],
      ['f97bff', '65504'],
      ['f90001', '5.960464477539063e-8'],
      ['f9c400', '-4'],
      ['f97c00', 'Infinity'],
      ['f97e00', 'NaN'],
      ['fa47c35000', '100000'],
      ['fbc010666666666666', '-4.1'],
      ['1bffffffffffffffff', '18446744073709551615'],
    ] as const) {
      assert.equal((decodeLooseCbor(fromHex(hex)) as { literal: string }).literal, literal, hex)
    }
  })

  for (const hex of [
    '',
    'ff',
    '1c',
    '5f4101',
    '5f6161ff',
    '7f61ffff',
    'a10000ff',
    'a20000',
    'a201000100',
    'f7',
    'f8ff',
    '61ff',
    'df00',
    '3f',
    'a1f900',
    'a1400000',
  ]) {
    it(`refuses ${hex || 'nothing'}`, () => {
      assert.throws(() => decodeLooseCbor(fromHex(hex)), { name: 'EvidenceError', code: 'malformed_cbor' })
    })
  }
})
