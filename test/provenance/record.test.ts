import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../../merkle/index.ts'
import {
  decodeRecord,
  encodeRecord,
  isRecordStatement,
  MAX_LINKS,
  type ProvenanceRecord,
  RECORD_CONTENT_TYPE,
  RECORD_TYPES,
  type RecordOf,
  recordOfStatement,
  recordStatementOf,
  recordSubject,
  recordTyp,
} from '../../provenance/index.ts'
import {
  type CborValue,
  decodeCbor,
  encodeCbor,
  encodeCoseSign1,
  importVerificationKey,
  parseSignedStatement,
  signSign1,
  signStatement,
  verifySignedStatement,
} from '../../statement/index.ts'
import { admin, createSmallLog, digestOf, FIELDS, issuer, stranger } from './small-log.ts'

const log = await createSmallLog()
const honest = log.records[8]!.record as RecordOf<'credential-provenance'>
const payload = encodeRecord(honest)

type Entries = ReadonlyMap<string, CborValue>
const entries = decodeCbor(payload) as Entries

/** The honest payload with one key set, or taken away. */
function changed(key: string, value: CborValue | undefined): Uint8Array {
  const map = new Map(entries)
  if (value === undefined) map.delete(key)
  else map.set(key, value)
  return encodeCbor(map)
}

/** A token, put together so that no search for tokens finds one in this file. */
const token = ['eyJhbGciOiJFUzI1NiJ9', 'eyJzdWIiOiJ4In0', 'c2lnbmF0dXJl'].join('.')

describe('decodeRecord', () => {
  it('gives back what was encoded, for every record of the small log, and the same bytes again', () => {
    for (const { record, statement } of log.records) {
      const bytes = encodeRecord(record)
      assert.deepEqual(bytes, statement.payload)
      assert.deepEqual(decodeRecord(record.type, bytes), record)
    }
  })

  it('gives back any ids, links and tags', () => {
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 })
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const ids = (maxLength: number) => fc.uniqueArray(id, { maxLength, selector: String })
    const links = fc.uniqueArray(
      fc.record({ rel: fc.constantFrom('previous', 'attestation-result'), entry: hash }, { noNullPrototype: true }),
      {
        maxLength: MAX_LINKS,
        selector: ({ entry }) => String(entry),
      },
    )
    fc.assert(
      fc.property(id, links, ids(64), ids(16), (id, links, tags, unique) => {
        const record = { ...honest, id, links, tags, unique } as ProvenanceRecord
        assert.deepEqual(decodeRecord('credential-provenance', encodeRecord(record)), record)
      }),
      { numRuns: 100 },
    )
  })

  it('refuses the payload of any type as one of any other', () => {
    for (const { record, statement } of log.records) {
      const sameShape = ['issuance-policy', 'appraisal-policy', 'reference-values']
      for (const type of RECORD_TYPES) {
        // Those three have one shape: it is the protected header that tells them apart.
        if (type === record.type || (sameShape.includes(type) && sameShape.includes(record.type))) continue
        assert.throws(() => decodeRecord(type, statement.payload), { code: 'malformed_record' })
      }
    }
  })

  const bytes16 = new Uint8Array(16)
  const sections = (entries.get('sealed') as Entries).get('sections') as readonly CborValue[]
  const sealed = (...chosen: CborValue[]) =>
    new Map<string, CborValue>([
      ['suite', 1],
      ['sections', chosen],
    ])
  const section = (label: string) => new Map([...(sections[0] as Entries), ['label', label]])
  const refused: [what: string, code: string, payload: Uint8Array][] = [
    ['a payload that is no map', 'malformed_record', encodeCbor([1])],
    ['a payload of nothing', 'malformed_cbor', new Uint8Array()],
    ['bytes after the end', 'malformed_cbor', Uint8Array.of(...payload, 0)],
    ['another version', 'malformed_record', changed('v', 2)],
    ['no version', 'malformed_record', changed('v', undefined)],
    ['no id', 'malformed_record', changed('id', undefined)],
    ['an id of 15 bytes', 'malformed_record', changed('id', new Uint8Array(15))],
    ['no links', 'malformed_record', changed('links', undefined)],
    ['links that are no list', 'malformed_record', changed('links', new Map())],
    ['a link without an entry', 'malformed_record', changed('links', [['previous']])],
    ['a link of three parts', 'malformed_record', changed('links', [['previous', digestOf('a'), 0]])],
    ['a link of an unknown relation', 'malformed_record', changed('links', [['next', digestOf('a')]])],
    ['a link to 31 bytes', 'malformed_record', changed('links', [['previous', new Uint8Array(31)]])],
    [
      '65 links',
      'malformed_record',
      changed(
        'links',
        Array.from({ length: MAX_LINKS + 1 }, (_, i) => ['previous', digestOf(`${i}`)]),
      ),
    ],
    [
      'one link twice',
      'duplicate_link',
      changed('links', [...(entries.get('links') as CborValue[]), (entries.get('links') as CborValue[])[1]!]),
    ],
    ['tags that are there and empty', 'malformed_record', changed('tags', [])],
    ['a tag of 32 bytes', 'malformed_record', changed('tags', [new Uint8Array(32)])],
    ['a tag twice', 'malformed_record', changed('tags', [bytes16, bytes16])],
    [
      '65 tags',
      'malformed_record',
      changed(
        'tags',
        Array.from({ length: 65 }, (_, i) => digestOf(`${i}`).slice(16)),
      ),
    ],
    ['unique tags that are there and empty', 'malformed_record', changed('unique', [])],
    ['a unique tag twice', 'malformed_record', changed('unique', [bytes16, bytes16])],
    [
      '17 unique tags',
      'malformed_record',
      changed(
        'unique',
        Array.from({ length: 17 }, (_, i) => digestOf(`${i}`).slice(16)),
      ),
    ],
    ['a field that is unknown', 'malformed_record', changed('comment', 'hello')],
    ['a field of another type of record', 'malformed_record', changed('resultDigest', digestOf('a'))],
    ['a field that is missing', 'malformed_record', changed('kind', undefined)],
    ['a kind that there is not', 'malformed_record', changed('kind', 'jwt')],
    ['a digest of 31 bytes', 'malformed_record', changed('credentialDigest', new Uint8Array(31))],
    ['seals that are no map', 'malformed_seal', changed('sealed', [])],
    ['seals without sections', 'section_missing', changed('sealed', undefined)],
    ['a required section that is missing', 'section_missing', changed('sealed', sealed(sections[0]!))],
    ['a section of another type', 'malformed_record', changed('sealed', sealed(section('workload'), ...sections))],
    ['sections in another order', 'malformed_record', changed('sealed', sealed(...sections.toReversed()))],
    ['a token in a field', 'token_in_clear', changed('delivery', token)],
    ['a token in a field that does not exist', 'token_in_clear', changed('comment', `see ${token}`)],
    ['a token for a key', 'token_in_clear', changed(token, 1)],
  ]
  for (const [what, code, bytes] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => decodeRecord('credential-provenance', bytes), { code })
    })
  }

  it('refuses keys in any but the deterministic order (malformed_cbor)', () => {
    const [first, ...rest] = [...entries]
    const head = payload.slice(0, 1)
    const pairs = [...rest, first!].map(([key, value]) => [...encodeCbor(key), ...encodeCbor(value)])
    const shuffled = Uint8Array.from([...head, ...pairs.flat()])
    assert.equal(shuffled.length, payload.length)
    assert.throws(() => decodeRecord('credential-provenance', shuffled), { code: 'malformed_cbor' })
  })

  it('refuses each section twice (malformed_record or malformed_seal)', () => {
    for (let i = 0; i < sections.length; i++) {
      const twice = [...sections.slice(0, i + 1), ...sections.slice(i)]
      assert.throws(
        () => decodeRecord('credential-provenance', changed('sealed', sealed(...twice))),
        /malformed|section|order/,
      )
    }
  })

  it('survives any single byte changed: a record or a typed refusal', () => {
    for (let at = 0; at < payload.length; at++) {
      const bent = payload.slice()
      bent[at]! ^= 1 << (at % 8)
      try {
        const record = decodeRecord('credential-provenance', bent)
        assert.deepEqual(encodeRecord(record), bent)
      } catch (error) {
        assert.match(
          (error as { code?: string }).code ?? String(error),
          /^(malformed_|token_|section_|too_large|duplicate_)/,
        )
      }
    }
  })
})

describe('the search for tokens', () => {
  const policy = (policyId: string): RecordOf<'issuance-policy'> => ({
    type: 'issuance-policy',
    id: new Uint8Array(16),
    links: [],
    tags: [],
    unique: [],
    fields: { ...FIELDS['issuance-policy'], policyId },
  })
  const [header, claims, signature] = token.split('.') as [string, string, string]

  const pretty = Buffer.from(JSON.stringify({ alg: 'none' }, null, 2)).toString('base64url')
  const privateKey = { d: 'A'.repeat(43), crv: 'P-256', kty: 'EC' }
  const found: Readonly<Record<string, string>> = {
    alone: token,
    'behind a scheme': `Bearer ${token}`,
    'between other words': `token=${token};`,
    'behind other parts': `a.b.${token}`,
    unsigned: `${header}.${claims}.`,
    detached: `${header}..${signature.repeat(4)}`,
    'encrypted, in five parts': `${header}.key.${signature}.x.y`,
    'encrypted to a shared key': `${header}..${signature}.x.y`,
    'with padding': `${header}==.${claims}=.${signature}=`,
    'with a header of several lines': `${pretty}.${claims}.${signature}`,
    'with blanks around its dots': token.replaceAll('.', ' . '),
    'wrapped every few letters': token.replace(/(.{7})/g, '$1 '),
    'with what is invisible between its letters': token.replace(/(.{5})/g, '$1\u200b'),
    'with full-width dots': token.replaceAll('.', '\uff0e'),
    'in JSON': JSON.stringify({ token }),
    'as JSON itself': JSON.stringify({ payload: claims, protected: header, signature: signature.repeat(2) }),
    'as a private JWK': JSON.stringify(privateKey),
    'as a private JWK in JSON in JSON': JSON.stringify(JSON.stringify(privateKey)),
    'as PEM': '-----BEGIN EC PRIVATE KEY-----MHcCAQEE',
    'as a private key of a signed note': 'PRIVATE+KEY+log.example+01234567+AAAAAAAA',
    'as a key of age': `AGE-SECRET-KEY-1${'Q'.repeat(58)}`,
  }
  for (const [how, text] of Object.entries(found)) {
    it(`finds a secret in a text: ${how}`, () => {
      assert.throws(() => encodeRecord(policy(text)), { code: 'token_in_clear' })
    })
    it(`finds it in bytes, in text or binary data: ${how}`, () => {
      const inside = encodeCbor(new Map([['a', [new Uint8Array(40), text]]]))
      for (const content of [utf8(`# a policy\n${text}\r\n`), inside, encodeCbor([inside])]) {
        const fields = { ...policy('p').fields, content }
        assert.throws(() => encodeRecord({ ...policy('p'), fields }), { code: 'token_in_clear' })
      }
    })
  }

  it('finds one in the header, under labels that nobody reads', async () => {
    const { header, sign1, payload } = log.records[8]!.statement
    for (const protectedHeader of [
      new Map<number | string, CborValue>([...sign1.protectedHeader, ['x', [new Map([[1, token]])]]]),
      new Map<number | string, CborValue>([...sign1.protectedHeader, [16, token]]),
    ]) {
      protectedHeader.delete(1)
      protectedHeader.delete(4)
      const signed = await signSign1({ protectedHeader, payload }, issuer.key)
      const statement = parseSignedStatement(encodeCoseSign1(signed))
      assert.equal(statement.header.kid, header.kid)
      assert.throws(() => recordOfStatement(statement), { code: 'token_in_clear' })
    }
  })

  it('leaves alone what only looks a little like one', () => {
    const fine = [
      'eyJ',
      header,
      `${header}.${claims}`,
      'a.b.c',
      'log.example.org',
      'spiffe://eyj.example.org/a',
      'v1.2.3',
      'They Just. Went. Home',
      JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }),
      '-----BEGIN CERTIFICATE-----MIIB',
    ]
    for (const text of fine) encodeRecord(policy(text))
  })

  it('does not repeat the token in its message', () => {
    for (const bytes of [changed('comment', token), changed(token, 1), changed('x', new Map([[token, token]]))]) {
      assert.throws(
        () => decodeRecord('credential-provenance', bytes),
        (error: Error) => !error.message.includes(header),
      )
    }
  })

  it('takes time in proportion to the text, even one made to be searched again and again', () => {
    const started = performance.now()
    const hostile = changed('comment', `${'eyJ'.repeat(100_000)} ${'eyJa.'.repeat(50_000)}`)
    assert.throws(() => decodeRecord('credential-provenance', hostile))
    const nested = changed('comment', `${'eyJ'.repeat(200_000)}`)
    assert.throws(() => decodeRecord('credential-provenance', nested), { code: 'malformed_record' })
    assert.ok(performance.now() - started < 1000)
  })
})

describe('encodeRecord', () => {
  it('refuses what decodeRecord would refuse', () => {
    assert.throws(() => encodeRecord({ ...honest, id: new Uint8Array(8) }), { code: 'malformed_record' })
    const link = honest.links[0]!
    assert.throws(() => encodeRecord({ ...honest, links: [link, link] }), { code: 'duplicate_link' })
    const { sealed: _sealed, ...open } = honest
    assert.throws(() => encodeRecord(open), { code: 'section_missing' })
  })
})

describe('recordOfStatement', () => {
  const content = {
    issuer: issuer.issuer,
    subject: recordSubject(honest.id),
    issuedAt: 100,
    contentType: RECORD_CONTENT_TYPE,
    typ: recordTyp('credential-provenance'),
    payload,
  }
  const { typ: _typ, ...untyped } = content

  it('reads the record of a statement', async () => {
    const statement = await signStatement(content, issuer.key)
    assert.equal(isRecordStatement(statement), true)
    assert.deepEqual(recordOfStatement(statement), honest)
  })

  const refused: [what: string, code: string, content: Parameters<typeof signStatement>[0]][] = [
    ['another content type', 'malformed_record', { ...content, contentType: 'application/json' }],
    ['no typ', 'unknown_record_type', untyped],
    ['a typ of another vocabulary', 'unknown_record_type', { ...content, typ: 'application/cose' }],
    [
      'a record type that does not exist',
      'unknown_record_type',
      { ...content, typ: 'application/vnd.provlog.constructor+cose' },
    ],
    ['another record type', 'malformed_record', { ...content, typ: recordTyp('credential-status') }],
    ['the id of another record', 'malformed_record', { ...content, subject: recordSubject(new Uint8Array(16)) }],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const statement = await signStatement(lie, issuer.key)
      assert.throws(() => recordOfStatement(statement), { code })
    })
  }

  it('leaves a statement that is not ours to others', async () => {
    assert.equal(
      isRecordStatement(await signStatement({ ...content, contentType: 'application/json' }, issuer.key)),
      false,
    )
  })

  it('refuses a statement without a date (malformed_record)', async () => {
    const statement = await signStatement(content, issuer.key)
    const { issuedAt: _issuedAt, ...header } = statement.header
    assert.throws(() => recordOfStatement({ ...statement, header }), { code: 'malformed_record' })
  })

  it('refuses a kid that names another key than the one that verified (malformed_record)', async () => {
    const statement = await signStatement(content, issuer.key)
    const verified = await verifySignedStatement(statement, await importVerificationKey(issuer.publicJwk))
    assert.deepEqual(recordStatementOf(verified).entry, statement.entry)
    for (const { kid } of [admin, stranger]) {
      const lie = { ...verified, header: { ...verified.header, kid } }
      assert.throws(() => recordStatementOf(lie), { code: 'malformed_record' })
    }
  })
})
