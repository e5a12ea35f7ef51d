import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  buildRecordStatement,
  type NewRecord,
  openSections,
  RECORD_CONTENT_TYPE,
  recordOfStatement,
  type SectionsOf,
} from '../../provenance/index.ts'
import {
  importVerificationKey,
  kidOf,
  type PrivateJwk,
  parsePrivateJwk,
  publicJwkOf,
  statementIdentity,
  unwrapKeys,
  verifySignedStatement,
  wrapRecipientKid,
} from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'
import { author, createSmallLog, FIELDS, ISSUER, issuer, newRecord, SECTIONS, stranger } from './small-log.ts'

const log = await createSmallLog()

function encryptionKey(kind: 'x25519' | 'ec'): PrivateJwk {
  const pair = kind === 'ec' ? newKeyPair('ec', { namedCurve: 'P-256' }) : newKeyPair('x25519')
  return parsePrivateJwk(pair.privateKey.export({ format: 'jwk' }))
}
const auditor = encryptionKey('x25519')
const regulator = encryptionKey('ec')

const honest = newRecord(log, 'credential-provenance', {
  unique: [new Uint8Array(16).fill(1)],
  recipients: [publicJwkOf(auditor), publicJwkOf(regulator)],
})
const built = await buildRecordStatement(honest, author(issuer, 200, 'honest'))

describe('buildRecordStatement', () => {
  it('signs what the record says in the name of its author', async () => {
    const { statement, record } = built
    await verifySignedStatement(statement, await importVerificationKey(issuer.publicJwk))
    const { header } = statement
    assert.equal(header.issuer, ISSUER)
    assert.equal(header.issuedAt, 200)
    assert.equal(header.kid, issuer.kid)
    assert.equal(header.contentType, RECORD_CONTENT_TYPE)
    assert.equal(header.typ, 'application/vnd.provlog.credential-provenance+cose')
    assert.match(header.subject, /^urn:provlog:record:[0-9a-f]{32}$/)
    assert.deepEqual(recordOfStatement(statement), record)
    assert.deepEqual(record.fields, FIELDS['credential-provenance'])
    assert.deepEqual(record.unique, honest.unique)
  })

  it('seals the sections in their one order, however they are given', async () => {
    const { tags, decision, credential } = SECTIONS['credential-provenance']
    const sections = { tags: tags!, decision, credential }
    const { record, keys } = await buildRecordStatement({ ...honest, sections }, author(issuer, 200))
    assert.deepEqual(
      record.sealed?.sections.map(({ label }) => label),
      ['credential', 'decision', 'tags'],
    )
    assert.deepEqual([...keys.keys()], ['credential', 'decision', 'tags'])
  })

  it('wraps the keys of all sections for each recipient, and for this record', async () => {
    assert.deepEqual(
      built.wraps.map(wrapRecipientKid),
      [auditor, regulator].map((key) => kidOf(publicJwkOf(key))),
    )
    for (const [i, recipient] of [auditor, regulator].entries()) {
      const { recordId, keys } = await unwrapKeys(built.wraps[i]!, recipient)
      assert.deepEqual(recordId, built.record.id)
      assert.deepEqual(keys, built.keys)
    }
    await assert.rejects(unwrapKeys(built.wraps[0]!, regulator), { code: 'wrong_recipient' })
  })

  it('keeps what is sealed out of the statement', () => {
    const text = new TextDecoder('latin1').decode(built.statement.bytes)
    for (const secret of ['payments/api', '7b1f', 'affirming', 'production']) assert.ok(!text.includes(secret), secret)
  })

  it('gives every record another id and other content keys, of the same contents', async () => {
    const by = author(issuer, 200)
    const [first, second] = [await buildRecordStatement(honest, by), await buildRecordStatement(honest, by)]
    assert.notDeepEqual(first.record.id, second.record.id)
    assert.notDeepEqual(first.keys, second.keys)
    assert.notDeepEqual(statementIdentity(first.statement), statementIdentity(second.statement))
  })

  it('makes no wraps where nothing is sealed', async () => {
    const open: NewRecord<'issuance-denied'> = {
      type: 'issuance-denied',
      fields: { reason: 'no_evidence' },
      recipients: [publicJwkOf(auditor)],
    }
    const { record, wraps, keys } = await buildRecordStatement(open, author(issuer, 200))
    assert.equal(Object.hasOwn(record, 'sealed'), false)
    assert.deepEqual([wraps, keys.size], [[], 0])
  })

  const { credential, decision } = SECTIONS['credential-provenance']
  const refused: [what: string, code: string, change: Partial<NewRecord<'credential-provenance'>>][] = [
    ['no sections', 'section_missing', { sections: undefined as never }],
    ['no decision', 'section_missing', { sections: { credential } as never }],
    [
      'a sealed subject that is no identifier',
      'malformed_record',
      { sections: { credential: { ...credential, subject: 'payments' }, decision } },
    ],
    [
      'a field that nobody knows',
      'malformed_record',
      { fields: { ...FIELDS['credential-provenance'], kind: 'jwt' as never } },
    ],
    ['a link twice', 'duplicate_link', { links: [log.link('issuance-policy', 3), log.link('issuance-policy', 3)] }],
  ]
  for (const [what, code, change] of refused) {
    it(`refuses to sign ${what} (${code})`, async () => {
      await assert.rejects(buildRecordStatement({ ...honest, ...change }, author(issuer, 200)), { code })
    })
  }

  it('takes a section that the type does not have for a bug of ours', async () => {
    const sections = { credential, decision, workload: {} } as SectionsOf<'credential-provenance'>
    await assert.rejects(buildRecordStatement({ ...honest, sections }, author(issuer, 200)), /invariant/)
  })

  it('wraps for no key that only signs (unsupported_key)', async () => {
    await assert.rejects(buildRecordStatement({ ...honest, recipients: [stranger.publicJwk] }, author(issuer, 200)), {
      code: 'unsupported_key',
    })
  })
})

describe('openSections', () => {
  it('opens the sections for which there is a key, and no others', async () => {
    assert.deepEqual(await openSections(built, built.keys), SECTIONS['credential-provenance'])
    const one = new Map([['decision', built.keys.get('decision')!]])
    assert.deepEqual(await openSections(built, one), { decision: SECTIONS['credential-provenance'].decision })
    assert.deepEqual(await openSections(built, new Map()), {})
  })

  it('refuses the key of another section (wrong_key)', async () => {
    const keys = new Map([['decision', built.keys.get('credential')!]])
    await assert.rejects(openSections(built, keys), { code: 'wrong_key' })
  })

  it("refuses another record's key for the same section (wrong_key)", async () => {
    const other = await buildRecordStatement(honest, author(issuer, 200))
    await assert.rejects(openSections(built, other.keys), { code: 'wrong_key' })
  })

  it('refuses a section moved to another issuer (wrong_key)', async () => {
    const statement = {
      ...built.statement,
      header: { ...built.statement.header, issuer: 'spiffe://bank.example/other' },
    }
    await assert.rejects(openSections({ ...built, statement }, built.keys), { code: 'wrong_key' })
  })
})
