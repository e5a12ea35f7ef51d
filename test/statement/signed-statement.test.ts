import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { type CborValue, encodeCbor, tagged } from '../../statement/cbor.ts'
import { decodeCoseSign1, encodeCoseSign1, signSign1 } from '../../statement/cose-sign1.ts'
import { withOtherS } from '../../statement/ecdsa-malleability.ts'
import {
  parseSignedStatement,
  registeredBytes,
  signStatement,
  statementIdentity,
  verifySignedStatement,
} from '../../statement/signed-statement.ts'
import { ED25519_JWK, ES256_JWK, flipped, hex, keysOf, OTHER_ES256_JWK, utf8 } from './fixtures.ts'

const es256 = await keysOf(ES256_JWK)
const ed25519 = await keysOf(ED25519_JWK)
const other = await keysOf(OTHER_ES256_JWK)

const content = {
  issuer: 'spiffe://example.org/issuer',
  subject: 'urn:example:1',
  issuedAt: 1_764_000_000,
  contentType: 'application/vnd.example+cbor',
  typ: 'application/vnd.example+cose',
  payload: utf8('what is said'),
}
const honest = await signStatement(content, es256.signing)

describe('signStatement', () => {
  for (const keys of [es256, ed25519]) {
    it(`makes a statement with ${keys.signing.algorithm} that reads back and verifies`, async () => {
      const made = await signStatement(content, keys.signing)
      assert.deepEqual(parseSignedStatement(made.bytes), made)
      const { payload, ...claims } = content
      assert.deepEqual(made.header, {
        ...claims,
        alg: keys.signing.algorithm === 'ES256' ? -7 : -8,
        kid: keys.signing.kid,
      })
      assert.deepEqual(made.payload, payload)
      assert.deepEqual(made.entry, sha256(made.bytes))
      const verified = await verifySignedStatement(made, keys.verification)
      assert.deepEqual(verified.signer, { kid: keys.signing.kid, jwk: keys.signing.publicJwk })
    })
  }

  it('writes a kid that is 43 characters of ASCII', () => {
    assert.ok(Buffer.from(honest.sign1.protectedBytes).includes(es256.signing.kid))
  })

  it('accepts a payload larger than the default limit of the reader', async () => {
    const payload = new Uint8Array(2 ** 20)
    const large = await signStatement({ ...content, payload }, es256.signing)
    assert.throws(() => parseSignedStatement(large.bytes), { code: 'too_large' })
    assert.equal(parseSignedStatement(large.bytes, { maxBytes: 2 ** 21 }).payload.length, 2 ** 20)
  })
})

describe('parseSignedStatement', () => {
  it('leaves the unprotected header behind: the entry is the same whatever anybody put there', () => {
    for (const unprotected of [
      new Map([['x', 1]]),
      new Map<number, CborValue>([
        [394, [hex('aa')]],
        [5, hex('bb')],
      ]),
    ]) {
      const read = parseSignedStatement(encodeCoseSign1({ ...honest.sign1, unprotected }))
      assert.deepEqual(read.bytes, honest.bytes)
      assert.deepEqual(read.entry, honest.entry)
      assert.deepEqual(read.unprotected, unprotected)
    }
  })

  it('returns copies: changing the input changes nothing', () => {
    const input = honest.bytes.slice()
    const read = parseSignedStatement(input)
    input.fill(0)
    assert.deepEqual(read, honest)
  })

  const claims = new Map<number, CborValue>([
    [1, 'https://issuer.example'],
    [2, 'urn:subject'],
  ])
  const complete = new Map<number, CborValue>([
    [1, -7],
    [3, 'text/plain'],
    [4, utf8('key-1')],
    [15, claims],
  ])
  const statement = (
    protectedHeader: Map<number, CborValue>,
    unprotected = new Map<number, CborValue>(),
    payload = utf8('payload'),
  ) => encodeCbor(tagged(18, [encodeCbor(protectedHeader), unprotected, payload, new Uint8Array(64)]))
  const withClaim = (label: number, value: CborValue) => new Map(complete).set(15, new Map(claims).set(label, value))
  const without = (label: number) => new Map([...complete].filter(([key]) => key !== label))
  const leaf = utf8('a certificate')
  const x5t: CborValue = [-16, sha256(leaf)]
  const HASHES = [
    [-16, 32],
    [-17, 32],
    [-43, 48],
    [-44, 64],
  ] as const
  const digest = (header: Map<number, CborValue>, length = 32) => statement(header, undefined, new Uint8Array(length))

  it('reads what others put in headers: a foreign kid, numbers as types, iat under tag 1 or not', () => {
    const read = (header: Map<number, CborValue>) => parseSignedStatement(statement(header)).header
    assert.equal(read(complete).kid, 'key-1')
    assert.equal(read(new Map(complete).set(4, hex('00ff'))).kid, 'AP8')
    assert.equal(read(new Map(complete).set(3, 50)).contentType, 50)
    assert.equal(read(withClaim(6, 1_700_000_000)).issuedAt, 1_700_000_000)
    assert.equal(read(withClaim(6, tagged(1, 1_700_000_000))).issuedAt, 1_700_000_000)
    assert.equal('contentType' in read(without(3)), false)
  })

  it('reads a hash envelope: which hash, of what, and where that is (RFC 9995)', () => {
    const described = () => without(3).set(259, 'application/spdx+json').set(260, 'https://example.com/sbom')
    for (const [alg, length] of HASHES) {
      const { header } = parseSignedStatement(statement(described().set(258, alg), undefined, new Uint8Array(length)))
      const { contentType, payloadHashAlg, payloadLocation } = header
      assert.deepEqual(
        { contentType, payloadHashAlg, payloadLocation },
        { contentType: 'application/spdx+json', payloadHashAlg: alg, payloadLocation: 'https://example.com/sbom' },
      )
    }
    const bare = parseSignedStatement(statement(without(3).set(258, -16), undefined, new Uint8Array(32))).header
    assert.deepEqual([bare.contentType, bare.payloadLocation, bare.payloadHashAlg], [undefined, undefined, -16])
  })

  it('reads certificate chains, and unprotected ones only when x5t names their leaf', () => {
    const read = (header: Map<number, CborValue>, unprotected?: Map<number, CborValue>) =>
      parseSignedStatement(statement(header, unprotected)).header.x5chain
    assert.deepEqual(read(without(4).set(33, leaf)), [leaf])
    assert.deepEqual(read(without(4).set(33, [leaf, hex('02')])), [leaf, hex('02')])
    assert.deepEqual(read(without(4).set(34, x5t), new Map([[33, leaf]])), [leaf])
    assert.deepEqual(read(without(4).set(33, leaf).set(34, x5t)), [leaf])
    assert.deepEqual(parseSignedStatement(statement(without(4).set(34, x5t))).header.x5t, sha256(leaf))
    assert.equal(read(complete, new Map([[33, leaf]])), undefined)
  })

  const refused: [what: string, code: string, bytes: Uint8Array][] = [
    ['no claims', 'malformed_statement', statement(without(15))],
    ['claims in the unprotected header alone', 'malformed_statement', statement(without(15), new Map([[15, claims]]))],
    ['claims that are no map', 'malformed_statement', statement(new Map(complete).set(15, [1]))],
    ['no issuer', 'malformed_statement', statement(new Map(complete).set(15, new Map([[2, 'b']])))],
    ['no subject', 'malformed_statement', statement(new Map(complete).set(15, new Map([[1, 'a']])))],
    ['an empty issuer', 'malformed_statement', statement(withClaim(1, ''))],
    ['an issuer of 8193 characters', 'malformed_statement', statement(withClaim(1, 'a'.repeat(8193)))],
    ['an issuer that is a number', 'malformed_statement', statement(withClaim(1, 5))],
    ['a time that is text', 'malformed_statement', statement(withClaim(6, '2026'))],
    ['a negative time', 'malformed_statement', statement(withClaim(6, -1))],
    ['neither a kid nor a certificate', 'malformed_statement', statement(without(4))],
    ['an unprotected kid', 'malformed_statement', statement(without(4), new Map([[4, utf8('key-1')]]))],
    ['an unprotected certificate', 'malformed_statement', statement(without(4), new Map([[33, leaf]]))],
    ['a kid that is text', 'malformed_statement', statement(new Map(complete).set(4, 'key-1'))],
    ['no algorithm', 'malformed_statement', statement(without(1))],
    ['a content type that is a map', 'malformed_statement', statement(new Map(complete).set(3, new Map()))],
    ['a content type beside a payload hash', 'malformed_statement', digest(new Map(complete).set(258, -16))],
    [
      'a content type in the other header than the payload hash',
      'malformed_statement',
      statement(without(3).set(258, -16), new Map([[3, 'text/plain']]), new Uint8Array(32)),
    ],
    ['a payload hash in the unprotected header', 'malformed_statement', statement(complete, new Map([[258, -16]]))],
    [
      'the type of a hashed content in the unprotected header',
      'malformed_statement',
      statement(without(3).set(258, -16), new Map([[259, 'text/plain']]), new Uint8Array(32)),
    ],
    [
      'the type of a hashed content without the hash',
      'malformed_statement',
      statement(new Map(complete).set(259, 'a/b')),
    ],
    [
      'the place of a hashed content without the hash',
      'malformed_statement',
      statement(new Map(complete).set(260, 'a:b')),
    ],
    [
      'the place of a hashed content that is no text',
      'malformed_statement',
      digest(without(3).set(258, -16).set(260, 1)),
    ],
    ['a payload hash algorithm that is text', 'malformed_statement', digest(without(3).set(258, 'sha-256'))],
    ['a payload longer than its hash', 'malformed_statement', digest(without(3).set(258, -16), 33)],
    ['a payload shorter than its hash', 'malformed_statement', digest(without(3).set(258, -44), 32)],
    ['a payload hash by SHA-1', 'unsupported_algorithm', digest(without(3).set(258, -14), 20)],
    ['a payload hash by truncated SHA-256', 'unsupported_algorithm', digest(without(3).set(258, -15), 8)],
    ['a payload hash that nobody has registered', 'unsupported_algorithm', digest(without(3).set(258, -1000))],
    ['a chain of one', 'malformed_statement', statement(without(4).set(33, [leaf]))],
    [
      'a chain whose leaf is not the one x5t names',
      'malformed_statement',
      statement(without(4).set(34, x5t), new Map([[33, hex('00')]])),
    ],
    [
      'a protected chain that x5t contradicts',
      'malformed_statement',
      statement(without(4).set(34, x5t).set(33, hex('00'))),
    ],
    ['an x5t by SHA-384', 'unsupported_algorithm', statement(without(4).set(34, [-43, new Uint8Array(48)]))],
    ['an x5t cut short', 'malformed_statement', statement(without(4).set(34, [-16, new Uint8Array(31)]))],
    ['a chain that is null', 'malformed_statement', statement(without(4).set(33, null))],
    [
      'an issuer that is no URI beside a certificate',
      'malformed_statement',
      statement(withClaim(1, 'me').set(33, leaf)),
    ],
    ['no payload', 'missing_payload', encodeCoseSign1({ ...honest.sign1, payload: null })],
    ['no tag', 'malformed_cose', honest.bytes.slice(1)],
    ['a byte more', 'malformed_cbor', Uint8Array.of(...honest.bytes, 0)],
    ['a byte less', 'malformed_cbor', honest.bytes.slice(0, -1)],
  ]
  for (const [what, code, bytes] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => parseSignedStatement(bytes), { code }))
  }

  it('refuses, or reads into the same bytes, whichever bit of a statement is turned', () => {
    for (let at = 0; at < honest.bytes.length; at++) {
      const changed = flipped(honest.bytes, at)
      try {
        const read = parseSignedStatement(changed)
        assert.equal(toHex(registeredBytes(decodeCoseSign1(changed))), toHex(read.bytes))
        assert.ok(!equalBytes(read.entry, honest.entry))
      } catch (error) {
        assert.equal((error as Error).name, 'EvidenceError')
      }
    }
  })
})

describe('verifySignedStatement', () => {
  /** Signed, with `crit` naming one label, which is there. */
  const critical = async (label: number, value: CborValue) => {
    const claims = new Map<number, CborValue>([
      [1, 'did:example:a'],
      [2, 'b'],
    ])
    const protectedHeader = new Map<number, CborValue>([
      [2, [label]],
      [15, claims],
      [label, value],
    ])
    if (label > 258) protectedHeader.set(258, -16)
    const payload = new Uint8Array(32)
    return parseSignedStatement(encodeCoseSign1(await signSign1({ protectedHeader, payload }, es256.signing)))
  }
  const headers: [label: number, value: CborValue][] = [
    [3, 'text/plain'],
    [
      15,
      new Map<number, CborValue>([
        [1, 'did:example:a'],
        [2, 'b'],
      ]),
    ],
    [16, 'application/example+cose'],
    [258, -16],
    [259, 'text/plain'],
    [260, 'https://example.com/'],
  ]
  for (const [label, value] of headers) {
    it(`processes header ${label}, which may therefore be critical`, async () => {
      await verifySignedStatement(await critical(label, value), es256.verification)
    })
  }
  for (const [label, value] of [
    [33, hex('30')],
    [34, [-16, sha256(hex('30'))]],
  ] as [number, CborValue][]) {
    it(`takes header ${label} as critical from a caller alone that validated it`, async () => {
      const statement = await critical(label, value)
      await assert.rejects(verifySignedStatement(statement, es256.verification), { code: 'unknown_critical_header' })
      await verifySignedStatement(statement, es256.verification, { processed: [33, 34] })
    })
  }
  for (const label of [5, 32, 35, 394, 395, 396]) {
    it(`refuses header ${label} as critical: nothing here processes it in a statement`, async () => {
      const verified = verifySignedStatement(await critical(label, hex('00')), es256.verification)
      await assert.rejects(verified, { code: 'unknown_critical_header' })
    })
  }

  it('refuses another key (bad_signature) and another kind of key (algorithm_mismatch)', async () => {
    await assert.rejects(verifySignedStatement(honest, other.verification), { code: 'bad_signature' })
    await assert.rejects(verifySignedStatement(honest, ed25519.verification), { code: 'algorithm_mismatch' })
  })

  it('refuses a statement in which anything signed was changed', async () => {
    for (let at = 0; at < honest.bytes.length; at += 3) {
      let read: ReturnType<typeof parseSignedStatement>
      try {
        read = parseSignedStatement(flipped(honest.bytes, at))
      } catch {
        continue
      }
      await assert.rejects(verifySignedStatement(read, es256.verification), { name: 'EvidenceError' })
    }
  })
})

describe('statementIdentity', () => {
  it('is the same for the malleated twin of a statement, which verifies and has another entry', async () => {
    const { sign1 } = honest
    const twin = parseSignedStatement(encodeCoseSign1({ ...sign1, signature: withOtherS(sign1.signature) }))
    await verifySignedStatement(twin, es256.verification)
    assert.notDeepEqual(twin.entry, honest.entry)
    assert.deepEqual(statementIdentity(twin), statementIdentity(honest))
  })

  it('differs when anything that is signed differs', async () => {
    const identities = [
      honest,
      await signStatement({ ...content, payload: utf8('other') }, es256.signing),
      await signStatement({ ...content, issuedAt: 0 }, es256.signing),
      await signStatement(content, other.signing),
    ].map((statement) => toHex(statementIdentity(statement)))
    assert.equal(new Set(identities).size, identities.length)
  })
})
