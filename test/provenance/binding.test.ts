// Internal binding: a credential that names an entry of the log, the record that links it, and every way to have only one of the two.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex, utf8 } from '../../merkle/bytes.ts'
import { sha256 } from '../../merkle/hash.ts'
import { parseCredential } from '../../provenance/credential.ts'
import {
  checkCommitments,
  decodeLogReference,
  encodeLogReference,
  intentCommitments,
  LOG_REFERENCE_CLAIM,
  parseLogReferenceClaim,
} from '../../provenance/log-reference.ts'
import { encodeBundle } from '../../provenance/verification/bundle.ts'
import { verifyCredential } from '../../provenance/verification/verify-credential.ts'
import { AT, authorOf, buildWorld, ISSUED_AT, ISSUER, KEYS, type World, type WorldEdits } from './world.ts'

type Reference = { log: string; entry: string; index?: number }

async function failuresOf(world: World, bundle?: Uint8Array): Promise<string[]> {
  const input = { credential: world.credential, bundle: bundle ?? (await world.encoded()), trust: world.trust, at: AT }
  const { ok, checks } = await verifyCredential(input)
  const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => `${id}: ${code}`)
  assert.equal(ok, failed.length === 0)
  return failed
}

/** A world in which the credential names something else, or nothing. */
function naming(change: (reference: Reference) => object | undefined): Promise<World> {
  return buildWorld({
    announce: true,
    claims: ({ [LOG_REFERENCE_CLAIM]: reference, ...claims }) => {
      const other = change(reference as Reference)
      return other ? { ...claims, [LOG_REFERENCE_CLAIM]: other } : claims
    },
  })
}

/** A world in which the intent commits to something else. */
function announcing(change: Partial<Parameters<typeof intentCommitments>[0]>): Promise<World> {
  const edits: WorldEdits = {
    announce: true,
    record: (name, record) => {
      if (name !== 'issuance-intent' || record.type !== 'issuance-intent') return record
      const keyThumbprint = parseCredential(honest.credential).keyThumbprint
      const said = {
        kind: 'wit',
        identifier: 'jti-0001',
        subject: 'spiffe://bank.example/payments',
        keyThumbprint,
      } as const
      return { ...record, fields: { ...record.fields, ...intentCommitments({ ...said, ...change }) } }
    },
  }
  return buildWorld(edits)
}

const honest = await buildWorld({ announce: true })

describe('a credential that names an entry', () => {
  it('is accepted when that entry is the intent that its record links', async () => {
    assert.deepEqual(await failuresOf(honest), [])
    assert.deepEqual(await failuresOf(await naming(({ log, entry }) => ({ log, entry }))), [])
  })

  const lies: [what: string, change: (reference: Reference) => object | undefined][] = [
    ['another entry', (reference) => ({ ...reference, entry: toHex(sha256(utf8('another'))) })],
    ['another index', (reference) => ({ ...reference, index: 3 })],
    ['another log', (reference) => ({ ...reference, log: 'evil.example' })],
    ['nothing, though its record was announced', () => undefined],
  ]
  for (const [what, change] of lies) {
    it(`is refused when it names ${what} (intent_mismatch)`, async () => {
      assert.deepEqual(await failuresOf(await naming(change)), ['binding: intent_mismatch'])
    })
  }

  it('is refused when its record links no intent: somebody logged another story for it (intent_mismatch)', async () => {
    const world = await buildWorld({
      announce: true,
      record: (name, record) =>
        name === 'credential-provenance'
          ? { ...record, links: record.links!.filter(({ rel }) => rel !== 'issuance-intent') }
          : record,
    })
    assert.deepEqual(await failuresOf(world), ['binding: intent_mismatch'])
  })

  it('is refused when the intent does not come along (link_dangling)', async () => {
    const bundle = await honest.bundle()
    const at = honest.indexOf('issuance-intent') + 1
    const without = encodeBundle({ ...bundle, statements: bundle.statements.toSpliced(at, 1) })
    assert.deepEqual(await failuresOf(honest, without), ['records: link_dangling'])
  })

  const announced: [what: string, change: Parameters<typeof announcing>[0]][] = [
    ['another subject', { subject: 'spiffe://bank.example/admin' }],
    ['another key', { keyThumbprint: 'another' }],
    ['another jti', { identifier: 'jti-0002' }],
    ['another kind', { kind: 'wic' }],
  ]
  for (const [what, change] of announced) {
    it(`is refused when ${what} was announced (intent_mismatch)`, async () => {
      assert.deepEqual(await failuresOf(await announcing(change)), ['binding: intent_mismatch'])
    })
  }

  const periods = [
    ['kind', { kind: 'wic' }],
    ['beginning', { notBefore: ISSUED_AT - 1 }],
    ['end', { notAfter: ISSUED_AT + 60 }],
  ] as const
  for (const [what, lie] of periods) {
    it(`is refused when another ${what} was announced, which the log saw too (intent_mismatch)`, async () => {
      const world = await buildWorld({
        announce: true,
        record: (name, record) =>
          name === 'issuance-intent' && record.type === 'issuance-intent'
            ? { ...record, fields: { ...record.fields, ...lie } }
            : record,
      })
      assert.deepEqual(await failuresOf(world), ['records: intent_mismatch'])
    })
  }

  it('is told apart from one that was only recorded, whose report says so', async () => {
    const world = await buildWorld()
    const input = { credential: world.credential, bundle: await world.encoded(), trust: world.trust, at: AT }
    const { checks } = await verifyCredential(input)
    assert.match(checks.find(({ id }) => id === 'binding')!.detail, /the credential no entry/)
  })
})

describe('a reference to a log', () => {
  const entry = sha256(utf8('entry'))
  for (const index of [undefined, 0, 127, 128, 255, 256, 65_536, Number.MAX_SAFE_INTEGER]) {
    it(`survives DER with index ${index}`, () => {
      const reference = { log: `log.example/${'x'.repeat(200)}`, entry, ...(index !== undefined && { index }) }
      assert.deepEqual(decodeLogReference(encodeLogReference(reference)), reference)
    })
  }

  const malformed: [what: string, claim: unknown][] = [
    ['text', 'log.example'],
    ['nothing in it', {}],
    ['an entry in upper case', { log: 'log.example', entry: toHex(entry).toUpperCase() }],
    ['a short entry', { log: 'log.example', entry: 'ab' }],
    ['an empty log', { log: '', entry: toHex(entry) }],
    ['a log of 257 characters', { log: 'x'.repeat(257), entry: toHex(entry) }],
    ['a negative index', { log: 'log.example', entry: toHex(entry), index: -1 }],
    ['an index in text', { log: 'log.example', entry: toHex(entry), index: '1' }],
    ['a member more', { log: 'log.example', entry: toHex(entry), trusted: true }],
  ]
  for (const [what, claim] of malformed) {
    it(`is refused as a claim with ${what} (malformed_credential)`, () => {
      assert.throws(() => parseLogReferenceClaim(claim as never), { code: 'malformed_credential' })
    })
  }

  it('is refused as DER wherever it is cut short or goes on', () => {
    const encoded = encodeLogReference({ log: 'log.example', entry, index: 300 })
    for (let end = 0; end < encoded.length; end++) assert.throws(() => decodeLogReference(encoded.subarray(0, end)))
    assert.throws(() => decodeLogReference(Uint8Array.of(...encoded, 0)), { code: 'malformed_der' })
  })

  it('commits to nothing that who has not the credential could guess', () => {
    const announced = { kind: 'wit', subject: 'spiffe://bank.example/payments', keyThumbprint: 'k' } as const
    const [a, b] = ['jti-a', 'jti-b'].map((identifier) => intentCommitments({ ...announced, identifier }))
    assert.notDeepEqual(a!.subjectCommitment, b!.subjectCommitment)
    assert.notDeepEqual(a!.keyCommitment, b!.keyCommitment)
    checkCommitments(a!, { ...announced, identifier: 'jti-a' })
    assert.throws(() => checkCommitments(b!, { ...announced, identifier: 'jti-a' }), { code: 'intent_mismatch' })
  })
})

describe('what was withdrawn', () => {
  type Named = Parameters<World['entryOf']>[0]
  async function withdrawn(name: Named, effectiveAt: number, by: 'issuer' | 'verifier' | 'admin' = 'verifier') {
    const world = await buildWorld()
    const key = { issuer: KEYS.issuer, verifier: KEYS.verifier, admin: KEYS.admin }[by]
    const iss = { issuer: ISSUER, verifier: 'spiffe://bank.example/verifier', admin: 'log.example/prov' }[by]
    const links = [{ rel: 'retracts' as const, entry: world.entryOf(name) }]
    const fields = { effectiveAt, reasonCode: 'cve' }
    await world.add('retraction', { type: 'retraction', fields, links }, await authorOf(key, iss, AT - 1))
    return world
  }
  const cases: [name: Named, by: 'issuer' | 'verifier' | 'admin'][] = [
    ['reference-values', 'verifier'],
    ['appraisal-policy', 'verifier'],
    ['issuance-policy', 'issuer'],
    ['verifier-key', 'admin'],
    ['verifier-key', 'verifier'],
    ['issuer-key', 'admin'],
  ]
  for (const [name, by] of cases) {
    it(`fails a credential that was issued on the ${name} withdrawn by the ${by} as of then (grounds_retracted)`, async () => {
      assert.deepEqual(await failuresOf(await withdrawn(name, ISSUED_AT, by)), ['retractions: grounds_retracted'])
    })

    it(`tells of the ${name} withdrawn by the ${by} since, and fails the strict`, async () => {
      const world = await withdrawn(name, ISSUED_AT + 1, by)
      const input = { credential: world.credential, bundle: await world.encoded(), at: AT }
      const { ok, checks } = await verifyCredential({ ...input, trust: world.trust })
      assert.equal(ok, true)
      assert.match(checks.find(({ id }) => id === 'retractions')!.detail, /^withdrawn since: .* on: cve$/)
      const strict = await verifyCredential({ ...input, trust: { ...world.trust, strictRetractions: true } })
      assert.equal(strict.ok, false)
    })

    it(`says nothing of the ${name} before it is withdrawn`, async () => {
      const world = await withdrawn(name, AT + 1, by)
      const input = { credential: world.credential, bundle: await world.encoded(), at: AT }
      const strict = await verifyCredential({ ...input, trust: { ...world.trust, strictRetractions: true } })
      assert.equal(strict.ok, true)
    })
  }

  it('is learned from the log when the bundle is older', async () => {
    const world = await buildWorld()
    const bundle = await world.encoded()
    const links = [{ rel: 'retracts' as const, entry: world.entryOf('reference-values') }]
    const author = await authorOf(KEYS.verifier, 'spiffe://bank.example/verifier', AT - 1)
    await world.add('retraction', { type: 'retraction', fields: { effectiveAt: ISSUED_AT }, links }, author)
    const input = { credential: world.credential, bundle, trust: world.trust, at: AT }
    const offline = await verifyCredential(input)
    assert.deepEqual([offline.ok, offline.mode], [true, 'offline'])
    assert.ok(
      offline.checks.filter(({ id }) => id === 'retractions' || id === 'status').every(({ fresh }) => fresh === false),
    )
    const fresh = {
      checkpoint: world.log.checkpoint(),
      consistencyProof: world.log.consistencyProof(9),
      bundle: await world.encoded(),
    }
    const { checks } = await verifyCredential({ ...input, fresh })
    const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => `${id}: ${code}`)
    assert.deepEqual(failed, ['status-current: grounds_retracted'])
  })

  it('must be withdrawn by whose it is: a bundle with the word of somebody else fails (link_not_own)', async () => {
    assert.deepEqual(await failuresOf(await withdrawn('reference-values', ISSUED_AT, 'issuer')), [
      'records: link_not_own',
    ])
  })
})

describe('a policy for confidential workloads', () => {
  const strict = (confidential: boolean): WorldEdits => ({
    record: (_name, record) => {
      if (record.type === 'issuance-policy') return { ...record, fields: { ...record.fields, confidential: true } }
      if (record.type !== 'credential-provenance' || !confidential) return record
      return { ...record, fields: { ...record.fields, confidential } }
    },
  })

  it('is obeyed by records that say so, and by no others (not_attested)', async () => {
    assert.deepEqual(await failuresOf(await buildWorld(strict(true))), [])
    assert.deepEqual(await failuresOf(await buildWorld(strict(false))), ['policies: not_attested'])
  })
})
