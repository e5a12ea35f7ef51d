/** Each record type's own fields and sections. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex, toBase64url } from '../../merkle/index.ts'
import { encodePublicKey, type FieldsOf, RECORD_TYPES, RECORDS, type RecordType } from '../../provenance/index.ts'
import { definitionOf } from '../../provenance/records/index.ts'
import { type CborValue, coseKeyOf, decodeCbor, encodeCbor } from '../../statement/index.ts'
import { FIELDS, issuer, SECTIONS } from './small-log.ts'

// Bob's, of RFC 7748 §6.1.
const x25519 = {
  kty: 'OKP',
  crv: 'X25519',
  x: toBase64url(fromHex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')),
} as const

describe('a record type', () => {
  for (const type of RECORD_TYPES) {
    const { fields, sections } = definitionOf(type)

    it(`reads back its fields and sections: ${type}`, () => {
      const throughBytes = (value: CborValue) => decodeCbor(encodeCbor(value))
      const honest: unknown = FIELDS[type]
      assert.deepEqual({ ...(fields.schema.decode(throughBytes(fields.schema.encode(honest)), '') as object) }, honest)
      const given: Readonly<Record<string, unknown>> = SECTIONS[type]
      assert.deepEqual(new Set(Object.keys(given)), new Set(sections.schemas.keys()), 'a sample of every section')
      for (const [label, schema] of sections.schemas) {
        assert.deepEqual(schema.decode(throughBytes(schema.encode(given[label])), label), given[label])
      }
    })

    it(`has no field that means something in every record: ${type}`, () => {
      for (const key of ['v', 'id', 'links', 'tags', 'unique', 'sealed']) assert.ok(!fields.keys.includes(key))
    })
  }

  it('may leave out what is optional', () => {
    const { requireWrapFor: _wrap, ...policy } = FIELDS['log-policy']
    const { notAfter: _end, maxCredentialLifetime: _longest, ...grant } = FIELDS['key-authorization']
    const { subjectKind: _kind, ...workload } = FIELDS['workload-provenance']
    read('log-policy', policy)
    read('key-authorization', grant)
    read('workload-provenance', workload)
  })

  it('may have all that is optional', () => {
    read('log-policy', { ...FIELDS['log-policy'], requireWrapFor: [issuer.kid] })
    read('key-authorization', { ...FIELDS['key-authorization'], encryptionKey: encodePublicKey(x25519) })
    read('issuance-policy', { ...FIELDS['issuance-policy'], notAfter: 10 })
    read('credential-status', { ...FIELDS['credential-status'], successor: new Uint8Array(32) })
  })

  const policy = FIELDS['log-policy']
  const grant = FIELDS['key-authorization']
  const edKey = encodePublicKey(issuer.publicJwk)
  const privateKey = encodeCbor(new Map([...coseKeyOf(issuer.publicJwk), [-4, new Uint8Array(32)]]))
  const weakKey = encodeCbor(
    new Map<number, CborValue>([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, new Uint8Array(32)],
    ]),
  )
  const refused: [what: string, type: RecordType, fields: unknown][] = [
    ['a log without admin keys', 'log-policy', { ...policy, adminKeys: [] }],
    ['a log with 9 receipt keys', 'log-policy', { ...policy, receiptKeys: Array(9).fill(edKey) }],
    ['a log without a checkpoint key', 'log-policy', { ...policy, vkeys: [] }],
    ['a checkpoint key that is none', 'log-policy', { ...policy, vkeys: ['log.example'] }],
    ['a log that takes statements of no size', 'log-policy', { ...policy, maxStatementBytes: 0 }],
    [
      'a log that takes larger statements than its auditors',
      'log-policy',
      { ...policy, maxStatementBytes: 2 ** 20 + 1 },
    ],
    ['a wrap for a name that is no key', 'log-policy', { ...policy, requireWrapFor: ['auditor'] }],
    ['an empty list of wraps', 'log-policy', { ...policy, requireWrapFor: [] }],
    ['an encryption key that is to sign', 'key-authorization', { ...grant, key: encodePublicKey(x25519) }],
    ['a private key', 'key-authorization', { ...grant, key: privateKey }],
    ['a key of small order', 'key-authorization', { ...grant, key: weakKey }],
    ['bytes that are no key', 'key-authorization', { ...grant, key: Uint8Array.of(1) }],
    ['a signing key that is to receive wraps', 'key-authorization', { ...grant, encryptionKey: edKey }],
    ['a role that there is not', 'key-authorization', { ...grant, role: 'admin' }],
    ['a subject that is no identifier', 'key-authorization', { ...grant, subject: 'https://bank.example/issuer' }],
    ['a trust domain that is none', 'key-authorization', { ...grant, trustDomain: 'Bank.Example' }],
    ['a tier that there is not', 'attestation-result', { ...FIELDS['attestation-result'], tier: 'fine' }],
    ['version 0 of a policy', 'issuance-policy', { ...FIELDS['issuance-policy'], version: 0 }],
    ['a policy text of no bytes', 'issuance-policy', { ...FIELDS['issuance-policy'], content: new Uint8Array() }],
    ['a status that there is not', 'credential-status', { ...FIELDS['credential-status'], status: 'lost' }],
    ['a delivery that there is not', 'credential-provenance', { ...FIELDS['credential-provenance'], delivery: 'post' }],
    ['a time before 1970', 'credential-provenance', { ...FIELDS['credential-provenance'], notBefore: -1 }],
    ['a reason of two lines', 'issuance-denied', { reason: 'policy_denied\nok' }],
  ]
  for (const [what, type, fields] of refused) {
    it(`refuses ${what} (malformed_record)`, () => {
      assert.throws(() => read(type, fields as FieldsOf<typeof type>), { code: 'malformed_record' })
    })
  }
})

describe('the sealed sections', () => {
  it('are required where the record would say nothing without', () => {
    const required = RECORD_TYPES.filter((type) => RECORDS[type].sections.required.length > 0)
    assert.deepEqual(required, ['credential-provenance', 'identity-generalization'])
    assert.deepEqual(RECORDS['credential-provenance'].sections.required, ['credential', 'decision'])
  })

  it('may hold a token: an attestation result is one', () => {
    const schema = definitionOf('attestation-result').sections.schemas.get('attestation')!
    schema.decode(schema.encode(SECTIONS['attestation-result'].attestation), 'attestation')
  })
})

function read<T extends RecordType>(type: T, fields: FieldsOf<T>): void {
  const { schema } = definitionOf(type).fields
  assert.deepEqual({ ...(schema.decode(schema.encode(fields), '') as object) }, fields)
}
