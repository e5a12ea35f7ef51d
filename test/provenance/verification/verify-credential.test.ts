import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toBase64url, toHex, utf8 } from '../../../merkle/bytes.ts'
import { signCheckpoint } from '../../../merkle/checkpoint.ts'
import { createCosigner } from '../../../merkle/cosignature.ts'
import { sha256 } from '../../../merkle/hash.ts'
import { buildInclusionProof } from '../../../merkle/inclusion.ts'
import { createNoteSigner, type NoteSigner } from '../../../merkle/note.ts'
import { spkiOfJwk } from '../../../provenance/certificates/certificate-key.ts'
import { type RecordOf, recordOfStatement } from '../../../provenance/record.ts'
import type { FieldsOf, SectionsOf } from '../../../provenance/records/index.ts'
import { type Bundle, encodeBundle } from '../../../provenance/verification/bundle.ts'
import { EvidenceMemory } from '../../../provenance/verification/evidence-memory.ts'
import { parseTrust, type Trust } from '../../../provenance/verification/trust.ts'
import {
  TITLES,
  type VerificationInput,
  type VerificationReport,
  verifyCredential,
} from '../../../provenance/verification/verify-credential.ts'
import { publicJwkOf } from '../../../statement/cose-key.ts'
import { buildReceipt, signTreeHead } from '../../../statement/receipt.ts'
import { importSigningKey } from '../../../statement/signature.node.ts'
import { attachReceipts, parseTransparentStatement } from '../../../statement/transparent-statement.ts'
import { unwrapKeys, wrapKeys } from '../../../statement/wrap.ts'
import {
  AT,
  addStatus,
  authorOf,
  buildWorld,
  ISSUED_AT,
  ISSUER,
  KEYS,
  LIFETIME,
  newKey,
  ORIGIN,
  SUBJECT,
  VERIFIER,
  type World,
  type WorldEdits,
} from '../world.ts'

const honest = await buildWorld()
const honestBundle = await honest.bundle()

async function verify(world: World = honest, change: Partial<VerificationInput> = {}): Promise<VerificationReport> {
  const input: VerificationInput = {
    credential: world.credential,
    bundle: change.bundle ?? (await world.encoded()),
    trust: world.trust,
    at: AT,
    ...change,
  }
  const report = await verifyCredential(input)
  // Whatever a test is about: who remembers what was found of other bundles, and of this one, finds the same.
  const memory = await memoryOf(input.trust)
  for (const _ of [1, 2]) assert.deepEqual(await verifyCredential({ ...input, memory }), report)
  return report
}

const memories = new Map<Trust, EvidenceMemory>()

/** What is known under this trust after the honest bundle, and whatever was verified under it since. */
async function memoryOf(trust: Trust): Promise<EvidenceMemory> {
  const known = memories.get(trust)
  if (known) return known
  const memory = new EvidenceMemory(trust)
  memories.set(trust, memory)
  const bundle = encodeBundle(honestBundle)
  await verifyCredential({ credential: honest.credential, bundle, trust, at: AT, memory })
  return memory
}

/** The checks that failed, as `id: code`. */
function failures({ checks }: VerificationReport): string[] {
  return checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => `${id}: ${code}`)
}

function outcomeOf({ checks }: VerificationReport, id: keyof typeof TITLES): string {
  return checks.find((check) => check.id === id)!.outcome
}

/** Refused for exactly this reason; all that could not be judged without it says so. */
function assertRefused(report: VerificationReport, failure: string): void {
  assert.deepEqual(failures(report), [failure])
  assert.equal(report.ok, false)
  assert.equal(report.checks.length, Object.keys(TITLES).length)
}

describe('EvidenceMemory', () => {
  it('finds in one statement what it found in it before, and anything else in one that differs in a byte', async () => {
    const memory = await memoryOf(honest.trust)
    await verify()
    const own = honestBundle.statements[1]!
    for (const at of [0, 40, own.length >> 1, own.length - 1]) {
      const changed = new Uint8Array(own)
      changed[at]! ^= 1
      const statements = honestBundle.statements.with(1, changed)
      const bundle = encodeBundle({ ...honestBundle, statements })
      const input = { credential: honest.credential, bundle, trust: honest.trust, at: AT }
      const report = await verifyCredential({ ...input, memory })
      assert.equal(report.ok, false)
      assert.deepEqual(report, await verifyCredential(input))
    }
  })

  it('does not change with the bytes that it was shown', async () => {
    const memory = new EvidenceMemory(honest.trust)
    const input = { credential: honest.credential, trust: honest.trust, at: AT, memory }
    const shown = await honest.encoded()
    assert.equal((await verifyCredential({ ...input, bundle: shown })).ok, true)
    shown.fill(0)
    assert.equal((await verifyCredential({ ...input, bundle: await honest.encoded() })).ok, true)
  })

  it('knows of a retraction in the bundle that has one, and in no other', async () => {
    const world = await buildWorld()
    const links = [{ rel: 'retracts' as const, entry: world.entryOf('issuer-key') }]
    const author = await authorOf(KEYS.admin, ORIGIN, AT - 1)
    const fields = { effectiveAt: ISSUED_AT, reasonCode: 'stolen' }
    await world.add('retraction', { type: 'retraction', fields, links }, author)
    const full = await world.bundle()
    const isRetraction = (bytes: Uint8Array) =>
      recordOfStatement(parseTransparentStatement(bytes).statement).type === 'retraction'
    const without = { ...full, statements: full.statements.filter((bytes) => !isRetraction(bytes)) }
    const memory = new EvidenceMemory(world.trust)
    const input = { credential: world.credential, trust: world.trust, at: AT, memory }
    for (const _ of [1, 2]) {
      assert.equal((await verifyCredential({ ...input, bundle: encodeBundle(without) })).ok, true)
      const report = await verifyCredential({ ...input, bundle: encodeBundle(full) })
      assert.deepEqual(failures(report), ['retractions: grounds_retracted'])
    }
  })

  it('serves many who ask at once, and tells each what it would tell one', async () => {
    const memory = new EvidenceMemory(honest.trust)
    const input = { credential: honest.credential, trust: honest.trust, at: AT }
    const changed = new Uint8Array(honestBundle.statements[1]!)
    changed[changed.length - 1]! ^= 1
    const bundles = [honestBundle, { ...honestBundle, statements: honestBundle.statements.with(1, changed) }].map(
      encodeBundle,
    )
    const alone = await Promise.all(bundles.map((bundle) => verifyCredential({ ...input, bundle })))
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, i) => verifyCredential({ ...input, bundle: bundles[i % 2]!, memory })),
    )
    assert.deepEqual(all, Array(6).fill(alone).flat())
  })

  it('is of one trust', async () => {
    const trust = { ...honest.trust }
    const input = { credential: honest.credential, bundle: await honest.encoded(), at: AT }
    await assert.rejects(verifyCredential({ ...input, trust, memory: await memoryOf(honest.trust) }), /another trust/)
  })
})

describe('verifyCredential, of an honest credential', () => {
  for (const kind of ['wit', 'wic'] as const) {
    it(`accepts a ${kind} and its bundle, offline, and says what it did not look at`, async () => {
      const world = await buildWorld({ kind })
      const report = await verify(world)
      assert.deepEqual(failures(report), [])
      assert.equal(report.ok, true)
      assert.deepEqual(report.credential?.subject, SUBJECT)
      assert.deepEqual(report.log, {
        origin: ORIGIN,
        size: 9,
        index: 8,
        entry: toHex(world.entryOf('credential-provenance')),
        signedAt: ISSUED_AT,
      })
      const unchecked = report.checks.filter(({ outcome }) => outcome === 'not-checked').map(({ id }) => id)
      assert.deepEqual(unchecked, [
        'possession',
        'witnesses',
        'checkpoint-age',
        'consistency',
        'proof-way',
        'issuer-attestation',
        'status-current',
        'stands-for',
        'sealed-credential',
        'sealed-audience',
        'sealed-uniqueness',
        'sealed-results',
        'sealed-decision',
      ])
    })

    it(`opens the sealed sections of a ${kind} for a recipient, and makes the decision again`, async () => {
      const report = await verify(await buildWorld({ kind }), { openWith: KEYS.auditor })
      assert.equal(report.ok, true)
      for (const id of ['sealed-credential', 'sealed-uniqueness', 'sealed-results', 'sealed-decision'] as const) {
        assert.equal(outcomeOf(report, id), 'passed', id)
      }
      assert.equal(report.opened?.credential?.subject, SUBJECT)
      assert.deepEqual(report.opened?.decision?.reasons, ['attested-payment-workloads'])
      assert.equal(report.opened?.results?.[0]?.verifier, VERIFIER)
      assert.equal(report.opened?.workload?.sbom[0]?.format, 'CycloneDX')
    })
  }

  it('lists every check once, in order', async () => {
    const report = await verify()
    assert.deepEqual(
      report.checks.map(({ id }) => id),
      Object.keys(TITLES),
    )
  })

  it('strips the one line break that an editor adds to a token file', async () => {
    const report = await verify(honest, { credential: Uint8Array.of(...honest.credential, 0x0a) })
    assert.equal(report.ok, true)
  })

  it('accepts a tree that grew since, by what the log says now', async () => {
    const world = await buildWorld()
    const bundle = await world.encoded()
    await addStatus(world, { status: 'suspended', effectiveAt: AT + 1 })
    const fresh = {
      checkpoint: world.log.checkpoint(),
      consistencyProof: world.log.consistencyProof(9),
      bundle: await world.encoded(),
    }
    const report = await verify(world, { bundle, fresh })
    assert.deepEqual(failures(report), [])
    assert.deepEqual([outcomeOf(report, 'consistency'), outcomeOf(report, 'status-current')], ['passed', 'passed'])
  })

  it('accepts a key that took the place of one whose authorization did not come along', async () => {
    const world = await buildWorld({
      record: (name, record) =>
        name === 'issuer-key'
          ? { ...record, links: [{ rel: 'previous', entry: sha256(utf8('an older key')) }] }
          : record,
    })
    assert.deepEqual(failures(await verify(world)), [])
  })

  it('accepts a checkpoint that is recent enough, and not one that is older', async () => {
    const trust = { ...honest.trust, maximumCheckpointAge: AT - ISSUED_AT }
    assert.equal((await verify(honest, { trust })).ok, true)
    assertRefused(await verify(honest, { trust, at: AT + 1 }), 'checkpoint-age: checkpoint_too_old')
  })
})

describe('verifyCredential, of a credential that is not what it seems', () => {
  const token = new TextDecoder().decode(honest.credential)
  const [header, payload, signature] = token.split('.') as [string, string, string]

  it('refuses a changed signature', async () => {
    const other = `${header}.${payload}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`
    const report = await verify(honest, { credential: utf8(other) })
    assert.deepEqual(failures(report), ['signature: bad_signature', 'bundle: credential_mismatch'])
    assert.equal(report.ok, false)
  })

  it('refuses a changed claim', async () => {
    const changed = toBase64url(
      utf8(JSON.stringify({ ...JSON.parse(atob(payload)), sub: 'spiffe://bank.example/admin' })),
    )
    const report = await verify(honest, { credential: utf8(`${header}.${changed}.${signature}`) })
    assert.deepEqual(failures(report), ['signature: bad_signature', 'bundle: credential_mismatch'])
  })

  it('refuses the bundle of another credential', async () => {
    const other = await buildWorld({ claims: (claims) => ({ ...claims, jti: 'jti-0002' }) })
    assertRefused(await verify(other, { bundle: await honest.encoded() }), 'bundle: credential_mismatch')
  })

  it('refuses the bundle of another credential that was renamed', async () => {
    const other = await buildWorld({ claims: (claims) => ({ ...claims, jti: 'jti-0002' }) })
    const bundle = encodeBundle({ ...honestBundle, credentialDigest: other.digest })
    assertRefused(await verify(other, { bundle }), 'record: credential_mismatch')
  })

  it('refuses bytes that are no credential', async () => {
    const report = await verify(honest, { credential: utf8('hello') })
    assertRefused(report, 'credential: malformed_jws')
    assert.equal(report.credential, undefined)
  })

  it('refuses a credential before and after its time', async () => {
    assertRefused(await verify(honest, { at: ISSUED_AT - 1 }), 'signature: credential_not_yet_valid')
    assertRefused(await verify(honest, { at: ISSUED_AT + LIFETIME }), 'signature: credential_expired')
  })

  it('refuses a credential of a trust domain without anchors', async () => {
    const trust = { ...honest.trust, trustDomains: new Map() }
    assertRefused(await verify(honest, { trust }), 'signature: unknown_trust_domain')
  })

  it('refuses a token signed by the anchor of another trust domain', async () => {
    const bank = honest.trust.trustDomains.get('bank.example')!
    const trustDomains = new Map([
      ['bank.example', { ...bank, tokenKeys: new Map() }],
      ['evil.example', { ...bank, trustDomain: 'evil.example' }],
    ])
    assertRefused(await verify(honest, { trust: { ...honest.trust, trustDomains } }), 'signature: unknown_anchor')
  })
})

describe('verifyCredential, of a log that lies', () => {
  const change = (lie: Partial<Bundle>) => encodeBundle({ ...honestBundle, ...lie })
  const head = { origin: ORIGIN, size: 9, root: honest.log.root() }

  it('refuses bytes that are no bundle', async () => {
    assertRefused(await verify(honest, { bundle: utf8('hello') }), 'bundle: malformed_bundle')
  })

  it('refuses a log that nobody pinned', async () => {
    assertRefused(await verify(honest, { bundle: change({ origin: 'evil.example' }) }), 'checkpoint: untrusted_log')
  })

  it('refuses a checkpoint signed by another key of the same name', async () => {
    const signer = createNoteSigner(ORIGIN, sha256(utf8('another seed')))
    const report = await verify(honest, { bundle: change({ checkpoint: signCheckpoint(head, [signer]) }) })
    assertRefused(report, 'checkpoint: unknown_signer')
  })

  it('refuses a forked checkpoint: the same key and size, another root', async () => {
    const checkpoint = signCheckpoint({ ...head, root: sha256(utf8('fork')) }, [honest.log.signer])
    assertRefused(await verify(honest, { bundle: change({ checkpoint }) }), 'inclusion: root_mismatch')
  })

  it('refuses a checkpoint without its signature', async () => {
    const checkpoint = honestBundle.checkpoint.slice(0, honestBundle.checkpoint.indexOf('\n\n') + 2)
    const report = await verify(honest, { bundle: change({ checkpoint }) })
    assert.equal(failures(report)[0]?.split(':')[0], 'checkpoint')
  })

  it('refuses fewer leaves than were seen before', async () => {
    const logs = honest.trust.logs.map((log) => ({ ...log, minimumSize: 10 }))
    assertRefused(await verify(honest, { trust: { ...honest.trust, logs } }), 'checkpoint: checkpoint_rollback')
  })

  it('refuses a checkpoint that no witness saw, where a quorum is demanded, and accepts it once one did', async () => {
    const witness = createCosigner('witness.example', sha256(utf8('witness')), () => ISSUED_AT)
    const document = { ...honest.trustDocument, witnessPolicy: `witness w ${witness.vkey}\nquorum w\n` }
    const trust = parseTrust(JSON.stringify(document))
    assertRefused(await verify(honest, { trust }), 'witnesses: quorum_not_met')
    const checkpoint = signCheckpoint(head, [honest.log.signer, witness])
    const report = await verify(honest, { trust, bundle: change({ checkpoint }) })
    assert.deepEqual([report.ok, outcomeOf(report, 'witnesses')], [true, 'passed'])
  })

  it('refuses the receipt of another entry', async () => {
    const [first, second, ...rest] = honestBundle.statements as [Uint8Array, Uint8Array]
    const { receipts } = parseTransparentStatement(second)
    const { statement } = parseTransparentStatement(first)
    const statements = [attachReceipts(statement.bytes, receipts), second, ...rest]
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'inclusion: root_mismatch')
  })

  it('refuses a receipt for another tree size than the checkpoint', async () => {
    const world = await buildWorld()
    await addStatus(world, { status: 'suspended', effectiveAt: AT + 1 })
    const [later] = await world.log.transparent([8], 10)
    const [earlier] = await world.log.transparent([8], 9)
    const bundle = await world.bundle()
    for (const [statement, code] of [
      [earlier!, 'wrong_tree_size'],
      [later!, ''],
    ] as const) {
      const statements = [statement, ...bundle.statements.slice(1)]
      const failed = failures(await verify(world, { bundle: encodeBundle({ ...bundle, statements }) }))
      assert.deepEqual(failed, code ? [`inclusion: ${code}`] : [])
    }
  })

  it('refuses a receipt whose signature is for another tree size than its proof', async () => {
    // A path in a tree of 9 is also one in a tree of 10 for some leaves: only the signed size tells.
    const proof = buildInclusionProof(0, 9, honest.log.node)
    const signed = await signTreeHead({ ...head, size: 10, issuedAt: ISSUED_AT }, await importSigningKey(KEYS.receipt))
    const receipt = buildReceipt({ ...signed, size: 9 }, { index: 0, proof })
    const statements = [...honestBundle.statements]
    statements[1] = attachReceipts(honest.log.statements[0]!.bytes, [receipt])
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'inclusion: wrong_tree_size')
  })

  it('refuses a receipt signed by a key that the log does not use', async () => {
    const signed = await signTreeHead({ ...head, issuedAt: ISSUED_AT }, await importSigningKey(KEYS.stranger))
    const receipt = buildReceipt(signed, { index: 8, proof: buildInclusionProof(8, 9, honest.log.node) })
    const statements = [attachReceipts(honest.log.statements[8]!.bytes, [receipt]), ...honestBundle.statements.slice(1)]
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'receipts: unknown_key')
  })

  it('refuses a statement without a receipt', async () => {
    const statements = [honest.log.statements[8]!.bytes, ...honestBundle.statements.slice(1)]
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'inclusion: missing_receipt')
  })

  it('refuses a statement that is there twice', async () => {
    const statements = [...honestBundle.statements, honestBundle.statements[3]!]
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'inclusion: unexpected_record')
  })

  it("refuses a bundle without the log's entry 0", async () => {
    const statements = honestBundle.statements.toSpliced(1, 1)
    assertRefused(await verify(honest, { bundle: change({ statements }) }), 'log-policy: unexpected_record')
  })

  it('refuses a log policy that does not name the pinned key', async () => {
    const vkeys = [createNoteSigner(ORIGIN, sha256(utf8('another seed'))).vkey]
    const world = await edited('log-policy', (fields) => ({ ...fields, vkeys }))
    assertRefused(await verify(world), 'log-policy: untrusted_log')
  })

  it('takes a checkpoint by any pinned key that the log policy in force names, and by no other', async () => {
    const [old, next] = [honest.log.signer, createNoteSigner(ORIGIN, sha256(utf8('the next seed')))]
    const cases: readonly [named: NoteSigner[], signing: NoteSigner[], pinned: NoteSigner[], failure?: string][] = [
      [[old], [old], [old, next]],
      [[next, old], [next, old], [old]],
      [[next, old], [next, old], [next]],
      [
        [next, old],
        [next, old],
        [old, next],
      ],
      [[next], [next], [next]],
      [[next], [next], [old, next]],
      [[next], [next], [old], 'checkpoint: unknown_signer'],
      // Only a thief signs a tree that includes the retirement of his key; he may put it beside a good signature.
      [[next], [old], [old], 'log-policy: untrusted_log'],
      [[next], [old], [old, next], 'log-policy: untrusted_log'],
      [[next], [old, next], [old], 'log-policy: untrusted_log'],
      [[next], [old, next], [old, next]],
    ]
    for (const [named, signing, pinned, failure] of cases) {
      const world = await buildWorld()
      const { fields } = recordOfStatement(world.log.statements[0]!) as RecordOf<'log-policy'>
      const links = [{ rel: 'previous', entry: world.entryOf('log-policy') }] as const
      const vkeys = named.map(({ vkey }) => vkey)
      const author = await authorOf(KEYS.admin, ORIGIN, ISSUED_AT)
      await world.add('log-policy 2', { type: 'log-policy', fields: { ...fields, vkeys }, links }, author)
      const size = world.log.statements.length
      const checkpoint = signCheckpoint({ origin: ORIGIN, size, root: world.log.root() }, signing)
      const bundle = encodeBundle({ ...(await world.bundle()), checkpoint })
      const logs = pinned.map(({ vkey }) => ({ origin: ORIGIN, vkey }))
      const trust = parseTrust(JSON.stringify({ ...world.trustDocument, logs }))
      assert.deepEqual(failures(await verify(world, { bundle, trust })), failure === undefined ? [] : [failure])
    }
  })

  it('refuses a second policy that the first did not authorize', async () => {
    const world = await buildWorld()
    const author = await authorOf(KEYS.stranger, ORIGIN, ISSUED_AT)
    const { fields } = recordOfStatement(world.log.statements[0]!) as RecordOf<'log-policy'>
    const links = [{ rel: 'previous', entry: world.entryOf('log-policy') }] as const
    await world.add('log-policy 2', { type: 'log-policy', fields, links }, author)
    assertRefused(await verify(world), 'log-policy: unknown_key')
  })

  it('refuses a log that now tells another history', async () => {
    const world = await buildWorld()
    await addStatus(world, { status: 'suspended', effectiveAt: AT + 1 })
    const fresh = {
      checkpoint: world.log.checkpoint(),
      consistencyProof: world.log.consistencyProof(9),
      bundle: await world.encoded(),
    }
    const report = await verify(honest, { fresh })
    assert.deepEqual(failures(report), ['consistency: root_mismatch'])
    const backwards = { ...fresh, checkpoint: world.log.checkpoint(5), consistencyProof: [] }
    assert.deepEqual(failures(await verify(world, { fresh: backwards })), ['consistency: checkpoint_rollback'])
  })
})

type Named = { [N in string]: unknown }

function uncounted({ components: _components, ...fields }: FieldsOf<'credential-provenance'>) {
  return fields
}

/** A world in which the clear fields of one entry are changed before they are signed. */
function edited<
  T extends 'log-policy' | 'credential-provenance' | 'attestation-result' | 'issuance-policy' | 'appraisal-policy',
>(
  name: T,
  change: (fields: FieldsOf<T>) => { readonly [K in keyof FieldsOf<T>]: unknown },
  more: WorldEdits = {},
): Promise<World> {
  return buildWorld({
    ...more,
    record: (which, record) =>
      which === name
        ? ({ ...record, fields: change(record.fields as FieldsOf<T>) } as unknown as typeof record)
        : record,
  })
}

describe('verifyCredential, of records by those who may not', () => {
  const refused: [what: string, failure: string, world: () => Promise<World>][] = [
    [
      'a record signed by a key that is authorized for nothing',
      'records: unknown_key',
      () =>
        buildWorld({
          author: (name, by) => (name === 'credential-provenance' ? authorOf(KEYS.stranger, ISSUER, by.now) : by),
        }),
    ],
    [
      'a record signed by a key of the wrong role',
      'records: role_not_authorized',
      () =>
        buildWorld({
          author: (name, by) => (name === 'credential-provenance' ? authorOf(KEYS.verifier, ISSUER, by.now) : by),
        }),
    ],
    [
      'a record in the name of somebody else',
      'records: issuer_mismatch',
      () =>
        buildWorld({
          author: (name, by) => (name === 'credential-provenance' ? { ...by, issuer: `${ISSUER}-2` } : by),
        }),
    ],
    [
      'an expired key authorization',
      'records: outside_key_validity',
      () =>
        buildWorld({
          record: (name, record) =>
            name === 'issuer-key' && record.type === 'key-authorization'
              ? { ...record, fields: { ...record.fields, notAfter: ISSUED_AT } }
              : record,
        }),
    ],
    [
      'an issuer authorized for another trust domain',
      'issuer: trust_domain_mismatch',
      () =>
        buildWorld({
          record: (name, record) =>
            name === 'issuer-key' && record.type === 'key-authorization'
              ? {
                  ...record,
                  fields: { ...record.fields, trustDomain: 'shop.example', subject: 'spiffe://shop.example/issuer' },
                }
              : record,
          author: (_, by) => (by.issuer === ISSUER ? { ...by, issuer: 'spiffe://shop.example/issuer' } : by),
          trust: (document) => ({ ...document, issuers: ['spiffe://shop.example/issuer'] }),
        }),
    ],
    [
      'a key authorized by somebody else than the administrator',
      'log-policy: unknown_key',
      () =>
        buildWorld({ author: (name, by) => (name === 'issuer-key' ? authorOf(KEYS.stranger, ORIGIN, by.now) : by) }),
    ],
    [
      'a link to a record of the wrong type',
      'records: link_wrong_type',
      () =>
        buildWorld({
          record: (name, record, entryOf) =>
            name === 'credential-provenance'
              ? {
                  ...record,
                  links: record.links!.map((link) =>
                    link.rel === 'issuance-policy' ? { ...link, entry: entryOf('appraisal-policy') } : link,
                  ),
                }
              : record,
        }),
    ],
    [
      'no link to an issuance policy',
      'records: link_missing',
      () =>
        buildWorld({
          record: (name, record) =>
            name === 'credential-provenance'
              ? { ...record, links: record.links!.filter(({ rel }) => rel !== 'issuance-policy') }
              : record,
        }),
    ],
    [
      'a longer validity than the credential has',
      'record: credential_mismatch',
      () => edited('credential-provenance', (fields) => ({ ...fields, notAfter: fields.notAfter + 1 })),
    ],
    [
      'an earlier beginning than the credential has',
      'record: credential_mismatch',
      () => edited('credential-provenance', (fields) => ({ ...fields, notBefore: fields.notBefore - 1 })),
    ],
    [
      'another kind of credential',
      'record: credential_mismatch',
      () => edited('credential-provenance', (fields) => ({ ...fields, kind: 'wic' })),
    ],
    [
      'a result that expired before the issuance',
      'attestation: result_not_current',
      () => buildWorld({ ear: (ear) => ({ ...ear, expiresAt: ISSUED_AT }) }),
    ],
    [
      'a result from after the issuance',
      'attestation: result_not_current',
      () => buildWorld({ ear: (ear) => ({ ...ear, issuedAt: ISSUED_AT + 1 }) }),
    ],
    [
      'a result that is worse than demanded',
      'attestation: tier_too_low',
      () => edited('attestation-result', (fields) => ({ ...fields, tier: 'warning' })),
    ],
    [
      'an issuance without attestation, where it is demanded',
      'attestation: not_attested',
      () =>
        buildWorld({
          record: (name, record) =>
            name === 'credential-provenance' && record.type === 'credential-provenance'
              ? {
                  ...record,
                  fields: { ...uncounted(record.fields), attestation: 'none', unattestedReason: 'legacy-platform' },
                  links: record.links!.filter(({ rel }) => rel !== 'attestation-result'),
                }
              : record,
        }),
    ],
    [
      'an issuance policy that was not in force any more',
      'policies: policy_not_in_force',
      () => edited('issuance-policy', (fields) => ({ ...fields, notAfter: ISSUED_AT })),
    ],
    [
      'an appraisal policy that was not in force yet',
      'policies: policy_not_in_force',
      () => edited('appraisal-policy', (fields) => ({ ...fields, notBefore: ISSUED_AT })),
    ],
  ]
  for (const [what, failure, world] of refused) {
    it(`refuses ${what} (${failure})`, async () => assertRefused(await verify(await world()), failure))
  }

  describe('of an issuer that shows a result about itself', () => {
    const shown = async (change: Partial<FieldsOf<'attestation-result'>> = {}) =>
      verify(await buildWorld({ aboutIssuer: change }))
    const of = ({ checks }: VerificationReport) => checks.find(({ id }) => id === 'issuer-attestation')!

    it('passes for one that is as good as is demanded of workloads, and says what is the issuer’s word', async () => {
      const report = await shown()
      assert.equal(report.ok, true)
      assert.match(of(report).detail, /^affirming by spiffe:.*you demand affirming; that it is about the issuer/)
    })

    it('is not checked where there is none', async () => {
      const check = of(await verify())
      assert.deepEqual(
        [check.outcome, check.detail],
        ['not-checked', 'the issuer shows no attestation result about itself'],
      )
    })

    for (const [what, code, change] of [
      ['is worse than demanded', 'tier_too_low', { tier: 'warning' }],
      ['had expired', 'result_not_current', { issuedAt: ISSUED_AT - 300, expiresAt: ISSUED_AT }],
      ['had not begun', 'result_not_current', { issuedAt: ISSUED_AT + 1 }],
    ] as const) {
      it(`refuses one that ${what} (${code})`, async () => {
        assertRefused(await shown(change), `issuer-attestation: ${code}`)
      })
    }
  })

  it('refuses an issuer and a verifier that are not trusted', async () => {
    const nobody = new Set<string>()
    const issuers = failures(await verify(honest, { trust: { ...honest.trust, issuers: nobody } }))
    assert.deepEqual(issuers, ['issuer: untrusted_issuer', 'policies: untrusted_issuer'])
    const verifiers = failures(await verify(honest, { trust: { ...honest.trust, verifiers: nobody } }))
    assert.deepEqual(verifiers, ['verifiers: untrusted_verifier', 'policies: untrusted_verifier'])
  })

  it('refuses a bundle from which a linked statement is missing', async () => {
    for (const name of ['attestation-result', 'issuance-policy', 'workload-provenance', 'appraisal-policy'] as const) {
      const statements = honestBundle.statements.toSpliced(honest.indexOf(name) + 1, 1)
      const report = await verify(honest, { bundle: encodeBundle({ ...honestBundle, statements }) })
      assertRefused(report, 'records: link_dangling')
    }
  })

  it('refuses a bundle without the authorization of the issuer', async () => {
    const statements = honestBundle.statements.toSpliced(honest.indexOf('issuer-key') + 1, 1)
    const report = await verify(honest, { bundle: encodeBundle({ ...honestBundle, statements }) })
    assertRefused(report, 'records: unknown_key')
  })

  it('refuses a bundle in which another record comes first', async () => {
    const statements = honestBundle.statements.toReversed()
    const report = await verify(honest, { bundle: encodeBundle({ ...honestBundle, statements }) })
    assertRefused(report, 'record: unexpected_record')
  })
})

describe('verifyCredential, of a credential whose standing changed', () => {
  type Change = Omit<FieldsOf<'credential-status'>, 'credentialDigest'>
  type Story = [what: string, changes: Change[], failure: string | undefined]
  const stories: Story[] = [
    ['revoked', [{ status: 'revoked', effectiveAt: AT }], 'status: credential_revoked'],
    ['revoked later', [{ status: 'revoked', effectiveAt: AT + 1 }], undefined],
    ['suspended', [{ status: 'suspended', effectiveAt: AT }], 'status: credential_suspended'],
    [
      'reinstated after a suspension',
      [
        { status: 'suspended', effectiveAt: AT - 2 },
        { status: 'reinstated', effectiveAt: AT - 1 },
      ],
      undefined,
    ],
    [
      'suspended again by the last change, whatever the dates',
      [
        { status: 'reinstated', effectiveAt: AT - 1 },
        { status: 'suspended', effectiveAt: AT - 2 },
      ],
      'status: credential_suspended',
    ],
    [
      'reinstated after a revocation, which does not exist',
      [
        { status: 'revoked', effectiveAt: AT - 2 },
        { status: 'reinstated', effectiveAt: AT - 1 },
      ],
      'status: credential_revoked',
    ],
    ['superseded', [{ status: 'superseded', effectiveAt: AT - 1 }], undefined],
    ...(['superseded', 'migrated'] as const).map(
      (status): Story => [
        `suspended, and then ${status}`,
        [
          { status: 'suspended', effectiveAt: AT - 2 },
          { status, effectiveAt: AT - 1 },
        ],
        'status: credential_suspended',
      ],
    ),
  ]
  for (const [what, changes, failure] of stories) {
    it(`${failure ? 'refuses' : 'accepts'} one that was ${what}`, async () => {
      const world = await buildWorld()
      for (const change of changes) await addStatus(world, change)
      assert.deepEqual(failures(await verify(world)), failure ? [failure] : [])
    })
  }

  it('gives no report about a moment that is none: a date that did not parse would outlive every revocation', async () => {
    const world = await buildWorld()
    await addStatus(world, { status: 'revoked', effectiveAt: AT - 1 })
    await assert.rejects(verify(world, { at: Date.parse('yesterday') / 1000 }), { name: 'Error' })
  })

  it('refuses a log that now has two records for the credential', async () => {
    const world = await buildWorld()
    const bundle = await world.encoded()
    const { type, fields, links } = recordOfStatement(world.log.statements[8]!) as RecordOf<'credential-provenance'>
    const digest = sha256(utf8('{}'))
    const made = { engine: 'cedar', engineVersion: '4', decision: 'allow', reasons: [] } as const
    const decision = { ...made, policyDigest: digest, contextDigest: digest, context: '{}' }
    const credential = {
      subject: SUBJECT,
      trustDomain: 'bank.example',
      identifier: 'jti-0002',
      keyThumbprint: 'another',
    }
    const author = await authorOf(KEYS.issuer, ISSUER, ISSUED_AT)
    await world.add('a second story', { type, fields, links, sections: { credential, decision } }, author)
    const fresh = {
      checkpoint: world.log.checkpoint(),
      consistencyProof: world.log.consistencyProof(9),
      bundle: await world.encoded(),
    }
    assertRefused(await verify(world, { bundle, fresh }), 'status-current: unexpected_record')
  })

  it('learns of a revocation that the bundle does not have, from the log', async () => {
    const world = await buildWorld()
    const bundle = await world.encoded()
    await addStatus(world, { status: 'revoked', effectiveAt: AT - 1, reasonCode: 'keyCompromise' })
    assert.equal((await verify(world, { bundle })).ok, true)
    const fresh = {
      checkpoint: world.log.checkpoint(),
      consistencyProof: world.log.consistencyProof(9),
      bundle: await world.encoded(),
    }
    assertRefused(await verify(world, { bundle, fresh }), 'status-current: credential_revoked')
  })
})

describe('verifyCredential, of sealed sections', () => {
  const open = (world: World, change: Partial<VerificationInput> = {}) =>
    verify(world, { openWith: KEYS.auditor, ...change })

  /** A world in which the sealed sections of one record are others. */
  function resealed<T extends 'credential-provenance' | 'attestation-result'>(
    name: T,
    change: (sections: SectionsOf<T>) => SectionsOf<T>,
  ): Promise<World> {
    return buildWorld({
      record: (which, record) =>
        which === name
          ? ({
              ...record,
              sections: change((record as unknown as Named)['sections'] as SectionsOf<T>),
            } as unknown as typeof record)
          : record,
    })
  }

  it('refuses to open for somebody who is no recipient', async () => {
    assertRefused(await open(honest, { openWith: newKey('X25519') }), 'sealed-credential: wrong_recipient')
  })

  it('says so when there are no wraps: a record may have been erased', async () => {
    const report = await open(honest, { bundle: encodeBundle({ ...honestBundle, wraps: new Map() }) })
    assert.equal(outcomeOf(report, 'sealed-credential'), 'not-checked')
    assert.equal(report.ok, true)
  })

  it('refuses keys that the sections do not commit to', async () => {
    const entry = toHex(honest.entryOf('credential-provenance'))
    const { recordId, keys } = await unwrapKeys(honestBundle.wraps.get(entry)![0]!, KEYS.auditor)
    const swapped = new Map([...keys].map(([label, cek]) => [label, label === 'credential' ? sha256(cek) : cek]))
    const wrap = await wrapKeys(recordId, swapped, publicJwkOf(KEYS.auditor))
    const wraps = new Map([...honestBundle.wraps, [entry, [wrap]]])
    const report = await open(honest, { bundle: encodeBundle({ ...honestBundle, wraps }) })
    assertRefused(report, 'sealed-credential: wrong_key')
  })

  it('refuses the wraps of another record', async () => {
    const [entry, other] = (['credential-provenance', 'attestation-result'] as const).map((n) =>
      toHex(honest.entryOf(n)),
    )
    const wraps = new Map([...honestBundle.wraps, [entry!, honestBundle.wraps.get(other!)!]])
    const report = await open(honest, { bundle: encodeBundle({ ...honestBundle, wraps }) })
    assertRefused(report, 'sealed-credential: wrong_key')
  })

  for (const [what, lie] of [
    ['subject', { subject: 'spiffe://bank.example/admin' }],
    ['trust domain', { trustDomain: 'shop.example' }],
    ['identifier', { identifier: 'jti-0002' }],
    ['key', { keyThumbprint: 'another' }],
  ] as const) {
    it(`refuses a sealed ${what} that is not the credential's`, async () => {
      const world = await resealed('credential-provenance', (sections) => ({
        ...sections,
        credential: { ...sections.credential, ...lie },
      }))
      assertRefused(await open(world), 'sealed-credential: section_mismatch')
    })
  }

  describe('of a credential that is meant for some trust domains', async () => {
    const world = await resealed('credential-provenance', (sections) => ({
      ...sections,
      credential: { ...sections.credential, audiences: ['shop.example', 'partner.example'] },
    }))
    const as = (own: string | undefined, of = world) =>
      verify(of, {
        openWith: KEYS.auditor,
        trust: { ...of.trust, ...(own !== undefined && { ownTrustDomain: own }) },
      })
    const audience = ({ checks }: VerificationReport) => checks.find(({ id }) => id === 'sealed-audience')!

    it('passes in one of them', async () => {
      const check = audience(await as('partner.example'))
      assert.deepEqual([check.outcome, check.detail], ['passed', 'for shop.example, partner.example'])
    })

    for (const own of ['bank.example', 'example', 'hop.example', 'shop.example.evil.example']) {
      it(`refuses in ${own} (audience_mismatch)`, async () => {
        const report = await as(own)
        assert.equal(audience(report).code, 'audience_mismatch')
        assert.equal(report.ok, false)
      })
    }

    it('is not checked for who does not say who he is, cannot open it, or where the issuer does not say it', async () => {
      const unchecked = [
        await as(undefined),
        await verify(world, { trust: { ...world.trust, ownTrustDomain: 'bank.example' } }),
        await as('bank.example', honest),
      ].map(audience)
      assert.deepEqual(
        unchecked.map(({ outcome, detail }) => [outcome, detail]),
        [
          ['not-checked', 'you have not said which trust domain is yours'],
          ['not-checked', `needs: ${TITLES['sealed-credential']}`],
          ['not-checked', 'its issuer says of no trust domain that it is meant for it'],
        ],
      )
    })
  })

  it('refuses a unique tag that is not of this credential', async () => {
    const world = await resealed('credential-provenance', (sections) => ({
      ...sections,
      tags: { key: new Uint8Array(32) },
    }))
    assertRefused(await open(world), 'sealed-uniqueness: section_mismatch')
  })

  it('refuses a result that was signed by somebody else', async () => {
    assertRefused(await open(await buildWorld({ earKey: KEYS.stranger })), 'sealed-results: bad_signature')
  })

  it('refuses another result than the one in clear', async () => {
    const world = await resealed('attestation-result', ({ attestation }) => ({
      attestation: { ...attestation!, result: `${String(attestation!.result)} ` },
    }))
    assertRefused(await open(world), 'sealed-results: section_mismatch')
  })

  it('refuses a result that is worse than the tier in clear', async () => {
    const world = await edited('attestation-result', (fields) => ({ ...fields, tier: 'affirming' }), {
      ear: (ear) => ({
        ...ear,
        status: 'warning',
        appraisals: new Map([['payments', { status: 'warning', policyIds: ['baseline'] }]]),
      }),
      policyText: '@id("anything") permit (principal, action, resource);',
    })
    assert.deepEqual(failures(await verify(world)), [])
    const report = await open(world)
    assert.deepEqual(failures(report), ['sealed-results: section_mismatch', 'sealed-decision: decision_mismatch'])
  })

  it('refuses a result by another appraisal policy than the one linked', async () => {
    const world = await buildWorld({
      ear: (ear) => ({
        ...ear,
        appraisals: new Map([...ear.appraisals].map(([label, each]) => [label, { ...each, policyIds: ['lenient'] }])),
      }),
    })
    assertRefused(await open(world), 'sealed-results: section_mismatch')
  })

  type Component = NonNullable<SectionsOf<'credential-provenance'>['attestation']>['components'][number]
  const parts: [what: string, lie: (component: Component) => readonly Component[]][] = [
    ['of another name', (component) => [{ ...component, label: 'gpu' }]],
    ['better than its Verifier said', (component) => [{ ...component, tier: 'none' }]],
    ['said not to have the key that it attests', (component) => [{ ...component, keyAttested: false }]],
    ['of another result', (component) => [{ ...component, result: sha256(utf8('another')) }]],
    ['that no result is about', (component) => [component, { ...component, label: 'gpu' }]],
    ['there twice', (component) => [component, component]],
  ]
  for (const [what, lie] of parts) {
    it(`refuses a part of the workload ${what}`, async () => {
      const world = await resealed('credential-provenance', (sections) => ({
        ...sections,
        attestation: { components: lie(sections.attestation!.components[0]!) },
      }))
      assertRefused(await open(world), 'sealed-results: section_mismatch')
    })
  }

  it('refuses a record that counts more parts than were attested, and seals none', async () => {
    const world = await buildWorld({
      record: (which, record) => {
        if (which !== 'credential-provenance') return record
        const { fields, sections } = record as unknown as { fields: object; sections: Named }
        const { attestation: _, ...others } = sections
        return { ...record, fields: { ...fields, components: 2 }, sections: others } as unknown as typeof record
      },
    })
    assertRefused(await open(world), 'sealed-results: section_mismatch')
  })

  it('refuses a record that counts more parts than it seals', async () => {
    const world = await edited('credential-provenance', (fields) => ({ ...fields, components: 2 }))
    assert.deepEqual(failures(await open(world)), ['sealed-results: section_mismatch'])
  })

  const decisions: [what: string, change: (decision: Decided) => Decided][] = [
    ['to deny', (decision) => ({ ...decision, decision: 'deny' })],
    ['for other reasons', (decision) => ({ ...decision, reasons: ['because'] })],
    ['by another policy', (decision) => ({ ...decision, policyDigest: sha256(utf8('policy')) })],
    ['on another context than its digest', (decision) => ({ ...decision, contextDigest: sha256(utf8('context')) })],
    ['on a fresher result', (decision) => recontext(decision, '"ageSeconds":60', '"ageSeconds":0', -1)],
    ['on a shorter lifetime', (decision) => recontext(decision, '"lifetimeSeconds":3600', '"lifetimeSeconds":60')],
    ['for another audience', (decision) => recontext(decision, '"audience":[]', '"audience":["shop.example"]')],
    ['on another measurement', (decision) => recontext(decision, /"measurements":\["[^"]*"\]/, '"measurements":[]')],
    [
      'on a bill of materials without a component',
      (decision) => recontext(decision, /"components":\[[^\]]+\]/, '"components":[]'),
    ],
    [
      'on a vendor that nobody named',
      (decision) => recontext(decision, '"unverifiedBuilders":[]', '"unverifiedBuilders":[],"vendor":"ACME"'),
    ],
  ]
  type Decided = SectionsOf<'credential-provenance'>['decision']
  function recontext(decision: Decided, from: string | RegExp, to: string, earlier = 0): Decided {
    const context = decision.context.replace(from, to)
    assert.notEqual(context, decision.context)
    // Sixty seconds may pass between deciding and signing: the lie is beyond that.
    const lie = earlier ? context.replace('"ageSeconds":0', '"ageSeconds":61') : context
    return { ...decision, context: lie, contextDigest: sha256(utf8(lie)) }
  }
  for (const [what, change] of decisions) {
    it(`refuses a decision ${what}`, async () => {
      const world = await resealed('credential-provenance', (sections) => ({
        ...sections,
        decision: change(sections.decision),
      }))
      assertRefused(await open(world), 'sealed-decision: decision_mismatch')
    })
  }

  it('refuses a decision that the policy would not make', async () => {
    // The issuer's own trace says allow: only evaluating the policy again shows that it denies.
    const world = await buildWorld({
      policyText: '@id("never") forbid (principal, action, resource);',
      record: (name, record) =>
        name === 'credential-provenance' && record.type === 'credential-provenance'
          ? {
              ...record,
              sections: { ...record.sections!, decision: { ...record.sections!.decision, decision: 'allow' } },
            }
          : record,
    })
    assertRefused(await open(world), 'sealed-decision: decision_mismatch')
  })

  it('refuses a claim of an attested key where the evidence binds another', async () => {
    const other = spkiOfJwk(publicJwkOf(KEYS.stranger))
    const world = await buildWorld({
      ear: (ear) => ({
        ...ear,
        appraisals: new Map([...ear.appraisals].map(([label, each]) => [label, { ...each, attestedKey: other }])),
      }),
    })
    assert.deepEqual(failures(await open(world)).slice(0, 1), ['sealed-results: section_mismatch'])
  })
})

describe('verifyCredential, of a policy that breaks the engine', () => {
  const deep = `permit (principal, action, resource) when { ${'('.repeat(20_000)}true${')'.repeat(20_000)} };`

  it('reports it, and judges the next credential as ever', async () => {
    const content = utf8(deep)
    const world = await buildWorld({
      record: (_name, record) => {
        if (record.type === 'issuance-policy') {
          return { ...record, fields: { ...record.fields, content, digest: sha256(content) } }
        }
        if (record.type !== 'credential-provenance') return record
        const decision = { ...record.sections!.decision, policyDigest: sha256(content) }
        return { ...record, sections: { ...record.sections!, decision } }
      },
    })
    assertRefused(await verify(world, { openWith: KEYS.auditor }), 'sealed-decision: invalid_policy')
    assert.equal(outcomeOf(await verify(honest, { openWith: KEYS.auditor }), 'sealed-decision'), 'passed')
  })
})

describe('verifyCredential, of damaged files', () => {
  it('reports, and never throws, whichever byte of the bundle is another', async () => {
    const bundle = await honest.encoded()
    const stride = Math.floor(bundle.length / 97)
    for (let at = 0; at < bundle.length; at += stride) {
      const damaged = bundle.slice()
      damaged[at]! ^= 1 << (at % 8)
      const report = await verify(honest, { bundle: damaged, openWith: KEYS.auditor })
      assert.equal(report.checks.length, Object.keys(TITLES).length, `byte ${at}`)
      assert.equal(report.ok, false, `byte ${at} of ${bundle.length}`)
    }
  })

  it('reports, and never throws, wherever the bundle is cut short', async () => {
    const bundle = await honest.encoded()
    for (let end = 0; end < bundle.length; end += Math.floor(bundle.length / 23)) {
      assertRefused(await verify(honest, { bundle: bundle.subarray(0, end) }), 'bundle: malformed_bundle')
    }
  })
})
