import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Cmw, readCmw, recordsOf } from '../../../clients/verifier/evidence/cmw.ts'
import { formatOfType } from '../../../clients/verifier/evidence/media-types.ts'
import { readSubmission } from '../../../clients/verifier/evidence/submission.ts'
import { VerifierError } from '../../../clients/verifier/index.ts'
import { concatBytes, fromHex, utf8 } from '../../../merkle/index.ts'
import { EAR_PROFILE } from '../../../provenance/index.ts'
import { type CborValue, encodeCbor } from '../../../statement/index.ts'

const json = (value: unknown) => utf8(JSON.stringify(value))
const VALUE = 'AQI'
const EAR_TYPE = `application/eat+jwt; eat_profile="${EAR_PROFILE}"`
const records = (cmw: Cmw | undefined) => cmw && recordsOf(cmw)

describe('a conceptual message wrapper', () => {
  it('is a record in JSON or CBOR, with or without a word on what it is', () => {
    const type = 'application/eat+jwt'
    const value = fromHex('0102')
    for (const bytes of [
      json([type, VALUE]),
      json([type, VALUE, 4]),
      encodeCbor([type, value]),
      encodeCbor([type, value, 4]),
    ]) {
      const [[label, record] = []] = records(readCmw(bytes)) ?? []
      assert.equal(label, undefined)
      assert.deepEqual([record?.type, record?.value], [type, value])
    }
    assert.deepEqual(records(readCmw(encodeCbor([263, value, 12])))![0]![1], { type: 263, value, ind: 12 })
  })

  it('is a tag, whose number is that of a content format', () => {
    // By RFC 9277 §4.3: TN(ct) = 1668546817 + (ct / 255) · 256 + ct % 255.
    for (const [tag, type] of [
      [1_668_546_817, 0],
      [1_668_576_818, 29_884],
      [1_668_612_095, 65_024],
    ] as const) {
      const bytes = concatBytes(Uint8Array.of(0xda), fromHex(tag.toString(16)), fromHex('41aa'))
      assert.deepEqual(records(readCmw(bytes)), [[undefined, { type, value: fromHex('aa') }]])
    }
  })

  it('is a collection, nested, with its type', () => {
    const cmw = readCmw(
      json({
        __cmwc_t: 'tag:example.com,2024:rack',
        cpu: ['a/b', VALUE],
        gpus: { 0: ['a/c', VALUE, 4], 1: ['a/d', VALUE] },
      }),
    )
    assert.ok(cmw && 'members' in cmw)
    assert.equal(cmw.type, 'tag:example.com,2024:rack')
    assert.deepEqual(
      records(cmw)!.map(([label, { type }]) => [label, type]),
      [
        ['cpu', 'a/b'],
        ['gpus/0', 'a/c'],
        ['gpus/1', 'a/d'],
      ],
    )
  })

  const none: [what: string, bytes: Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['a JWT', utf8('eyJhbGciOiJFUzI1NiJ9.e30.AA')],
    ['an object of texts', json({ quote: 'AAAA', signature: 'AAAA' })],
    ['NVIDIA’s bundle', json([['JWT', 'x'], { 'GPU-0': 'y' }])],
    ['NVIDIA’s evidence', json([{ arch: 'HOPPER', evidence: 'AA' }])],
    ['an empty object', json({})],
    ['JSON that is none', utf8('{"a": ["a/b", ')],
    [
      'a COSE_Sign1',
      encodeCbor([new Uint8Array(3), new Map<string, CborValue>(), new Uint8Array(2), new Uint8Array(64)]),
    ],
    ['another tag', concatBytes(Uint8Array.of(0xd2), encodeCbor(['a/b', new Uint8Array(1)]))],
    ['a quote', fromHex('040002008100000000000000')],
  ]
  for (const [what, bytes] of none) it(`is not ${what}`, () => assert.equal(readCmw(bytes), undefined))

  const broken: [what: string, bytes: Uint8Array][] = [
    ['ind of nothing', json(['a/b', VALUE, 0])],
    ['ind of what does not exist', json(['a/b', VALUE, 32])],
    ['ind as text', json(['a/b', VALUE, '4'])],
    ['a fourth element', json(['a/b', VALUE, 4, 4])],
    ['padded base64', json(['a/b', 'AQI='])],
    ['a content format past 65535', encodeCbor([65_536, fromHex('01')])],
    ['a type that is no URI', json({ __cmwc_t: 'rack', a: ['a/b', VALUE] })],
    ['a type and nothing else', json({ __cmwc_t: 'tag:example.com,2024:rack' })],
    ['a label with a slash', json({ 'a/b': ['a/b', VALUE] })],
    ['an empty label', json({ '': ['a/b', VALUE] })],
    ['a label of spaces', json({ '  ': ['a/b', VALUE] })],
    [
      'one label as number and text',
      encodeCbor(
        new Map<number | string, CborValue>([
          [1, ['a/b', fromHex('01')]],
          ['1', ['a/b', fromHex('02')]],
        ]),
      ),
    ],
    ['collections in collections', json(Array.from({ length: 5 }).reduce((inner) => ({ a: inner }), ['a/b', VALUE]))],
    ['records without end', json(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}`, ['a/b', VALUE]])))],
    ['a tag that is no content format', concatBytes(fromHex('da63740200'), fromHex('4101'))],
    ['the number of a content format in JSON', json([263, VALUE])],
    ['text for bytes in CBOR', encodeCbor(['a/b', VALUE])],
    ['text for bytes in a collection in CBOR', encodeCbor(new Map([['a', ['a/b', VALUE]]]))],
    ['a tag of text', concatBytes(fromHex('da63740101'), encodeCbor('a'))],
  ]
  for (const [what, bytes] of broken) {
    it(`with ${what} is refused (malformed_evidence)`, () => {
      assert.throws(() => readCmw(bytes), { name: 'EvidenceError', code: 'malformed_evidence' })
    })
  }

  it('is read or refused with a code, whatever it is made of', () => {
    const run = (bytes: Uint8Array) => {
      try {
        readCmw(bytes)
      } catch (error) {
        if (!(error instanceof VerifierError)) throw error
      }
    }
    const good = encodeCbor(new Map([['cpu', ['a/b', fromHex('0102'), 4]]]))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), run))
    fc.assert(fc.property(fc.json(), (text) => run(utf8(text))))
    fc.assert(fc.property(fc.nat(good.length - 1), fc.nat(7), (at, bit) => run(good.with(at, good[at]! ^ (1 << bit)))))
    run(utf8('['.repeat(100_000)))
    run(new Uint8Array(100_000).fill(0x81))
    run(utf8('{"a":'.repeat(1000)))
  })
})

describe('media types', () => {
  for (const [type, format] of [
    [EAR_TYPE, 'ear'],
    ['application/eat-jwt; eat_profile="tag:github.com,2023:veraison/ear"', 'ear'],
    ['Application/EAT+CWT;eat_profile=tag:psacertified.org,2023:psa#tfm', 'psa'],
    ['application/eat-cwt; profile="http://arm.com/psa/2.0.0"', 'psa'],
    ['application/eat-bun+json', 'nvidia-nras'],
    ['application/vnd.provlog.aws-nitro', 'aws-nitro'],
    ['application/eat+cwt; eat_profile="TAG:psacertified.org,2019:PSA#legacy"', 'psa'],
    ['application/eat-collection; profile="http://arm.com/CCA-SSD/1.0.0"', 'cca'],
    [266, 'nvidia-nras'],
    [10_003, 'psa'],
    [10_004, 'psa'],
    [10_005, undefined],
    [263, undefined],
    ['application/eat+jwt', undefined],
    ['application/eat+jwt; eat_profile="x"; eat_profile="y"', undefined],
    ['application/vnd.provlog.__proto__', undefined],
    ['text/plain', undefined],
  ] as const) {
    it(`${type} means ${format ?? 'nothing'}`, () => assert.equal(formatOfType(type), format))
  }
})

describe('a file of evidence', () => {
  const jwt = Buffer.from('eyJhbGciOiJFUzI1NiJ9.e30.AA').toString('base64url')

  it('is one piece, wrapped or not', () => {
    const bare = readSubmission(utf8('eyJhbGciOiJFUzI1NiJ9.e30.AA\n'), 'ear')
    const wrapped = readSubmission(json([EAR_TYPE, jwt, 8]), 'ear')
    const alone = readSubmission(json([EAR_TYPE, jwt, 8]), 'cmw')
    const unnamed = readSubmission(json(['application/octet-stream', jwt]), 'ear')
    const member = readSubmission(json({ cpu: [EAR_TYPE, jwt] }), 'ear')
    assert.deepEqual(wrapped.evidence, bare.evidence)
    for (const { pieces } of [bare, wrapped, alone, unnamed, member]) {
      assert.deepEqual(
        pieces.map(({ format, evidence }) => [format.name, evidence]),
        [['ear', bare.evidence]],
      )
    }
    assert.equal(alone.format, 'cmw')
    assert.deepEqual([bare.format, wrapped.format, member.pieces[0]!.label], ['ear', 'ear', undefined])
  })

  it('is several, with endorsements as collateral', () => {
    const { pieces, collateral } = readSubmission(
      json({
        cpu: ['application/vnd.provlog.sev-snp', VALUE, 4],
        gpu: [EAR_TYPE, jwt, 12],
        chain: ['application/pem-certificate-chain', VALUE, 2],
      }),
      'cmw',
    )
    assert.deepEqual(
      pieces.map(({ label, format }) => [label, format.name]),
      [
        ['cpu', 'sev-snp'],
        ['gpu', 'ear'],
      ],
    )
    assert.deepEqual(collateral, [fromHex('0102')])
  })

  const refused: [what: string, code: string, file: Uint8Array, format: string][] = [
    ['of another format than asked for', 'wrong_format', json([EAR_TYPE, jwt]), 'tdx'],
    ['of several where one was asked for', 'wrong_format', json({ a: [EAR_TYPE, jwt], b: [EAR_TYPE, jwt] }), 'ear'],
    ['of a type that says nothing', 'unknown_evidence_format', json({ a: ['text/plain', VALUE] }), 'cmw'],
    [
      'that brings its own reference values',
      'malformed_evidence',
      json({ a: [EAR_TYPE, jwt], b: ['application/rim+cose', VALUE, 1] }),
      'cmw',
    ],
    [
      'that brings its own policy',
      'malformed_evidence',
      json({ a: [EAR_TYPE, jwt], b: ['text/plain', VALUE, 16] }),
      'cmw',
    ],
    ['of endorsements alone', 'malformed_evidence', json({ b: ['text/plain', VALUE, 2] }), 'cmw'],
    ['that is no wrapper', 'malformed_evidence', utf8('eyJ'), 'cmw'],
    ['of a format that does not exist', 'unknown_evidence_format', json([EAR_TYPE, jwt]), 'sev'],
  ]
  for (const [what, code, file, format] of refused) {
    it(`${what} is refused (${code})`, () =>
      assert.throws(() => readSubmission(file, format), { name: 'EvidenceError', code }))
  }
})
