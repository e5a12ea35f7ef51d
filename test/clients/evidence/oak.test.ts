import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues, VerifierError } from '../../../clients/verifier/index.ts'
import { concatBytes, sha256, toHex, utf8 } from '../../../merkle/index.ts'
import { canonicalJson, jwkOfSpki, spkiOfJwk } from '../../../provenance/index.ts'
import type { PublicJwk } from '../../../statement/index.ts'
import {
  bytes,
  type Change,
  containerEvent,
  digest,
  type EntryChange,
  EVENTS,
  ecKey,
  endorser,
  entryOf,
  event,
  kernelEvent,
  keyHash,
  makeOak,
  NOTHING,
  NOW,
  number,
  pemOf,
  pointOf,
  rekor,
  roots,
  sessionBinding,
  signatureOf,
  signedEndorsement,
  signing,
  spkiOf,
  statementOf,
  systemEvent,
  variant,
} from './oak-forge.ts'

const format = evidenceFormat('oak')
const refused = (code: string) => ({ name: 'EvidenceError', code })

interface More extends Partial<Examination> {
  readonly endorsements?: readonly Uint8Array[]
}

async function examined(change: Change = {}, { endorsements = [], ...more }: More = {}) {
  const { evidence, collateral } = makeOak(change)
  return format.examine(evidence, {
    references: [],
    now: NOW,
    roots,
    collateral: [...collateral, ...endorsements],
    ...more,
  })
}

const measurementsOf = ({ detail }: Awaited<ReturnType<typeof examined>>) =>
  detail['measurements'] as Record<string, string>
const hex = (byte: number) => toHex(digest(byte))

const references = (values: Record<string, string>) =>
  parseReferenceValues(
    utf8(
      JSON.stringify({
        format: 'oak',
        measurements: [{ name: 'payments', values: { MEASUREMENT: 'aa'.repeat(48), ...values } }],
        platforms: [{ model: 'Milan', minimum: { snp: 8 } }],
      }),
    ),
  )

describe('oak: layers on AMD SEV-SNP', () => {
  it('gives what each layer measured of the next', async () => {
    const found = await examined()
    const { cases, workloadKey, detail } = found
    assert.deepEqual(cases, ['mismatch', 'unknownTcb', 'undated'])
    const { MEASUREMENT, KERNEL_CMDLINE, ...measured } = measurementsOf(found)
    assert.equal(MEASUREMENT, 'aa'.repeat(48))
    assert.equal(KERNEL_CMDLINE, toHex(sha256(utf8('quiet'))))
    const named = {
      KERNEL_SETUP_DATA: 1,
      KERNEL: 2,
      INIT_RAM_FS: 3,
      MEMORY_MAP: 4,
      ACPI: 5,
      SYSTEM_IMAGE: 0x11,
      CONTAINER: 0x21,
      CONTAINER_CONFIG: 0x22,
    }
    for (const [name, byte] of Object.entries(named)) assert.equal(measured[name], hex(byte), name)
    for (const [i, each] of EVENTS.entries()) assert.equal(measured[`event:${i}`], toHex(sha256(each)))
    assert.equal(toHex(spkiOfJwk(workloadKey!)), toHex(spkiOf(signing)))
    assert.equal(detail['keyBinding'], 'signing_key=spki')
  })

  it('matches reference values that name some of it, and no others', async () => {
    const fit = references({ KERNEL: hex(2), SYSTEM_IMAGE: hex(0x11), CONTAINER: hex(0x21) })
    assert.deepEqual((await examined({}, { references: [fit] })).cases, ['match', 'undated'])
    const other = references({ CONTAINER: hex(0x99) })
    const { cases, detail } = await examined({}, { references: [other] })
    assert.deepEqual(cases, ['mismatch', 'undated'])
    assert.deepEqual(detail['different'], ['CONTAINER'])
  })

  it('is appraised by a policy, with the workload’s key in the result', async () => {
    const policy = {
      format: 'oak',
      maxEvidenceAgeSeconds: 300,
      resultLifetimeSeconds: 3600,
      claims: { match: { executables: 3, hardware: 2 }, mismatch: { executables: 33 } },
      accept: ['undated'],
      roots,
    }
    const input = {
      ...{ policyId: 'oak', policy: parseAppraisalPolicy(utf8(JSON.stringify(policy))), now: NOW },
      referenceValues: [references({ CONTAINER: hex(0x21) })],
      workloadKey: jwkOfSpki(spkiOf(signing)) as PublicJwk,
    }
    const { evidence, collateral } = makeOak()
    assert.equal((await appraise({ ...input, evidence, collateral })).tier, 'affirming')
    const unknown = makeOak({ events: [kernelEvent, systemEvent, containerEvent, containerEvent] })
    assert.equal((await appraise({ ...input, ...unknown })).tier, 'warning')
    await assert.rejects(
      appraise({ ...input, evidence, collateral, workloadKey: jwkOfSpki(spkiOf(ecKey())) as PublicJwk }),
      refused('key_not_bound'),
    )
  })

  it('vouches for the key of sessions, and for what the application had signed, where the policy says so', async () => {
    const session = await examined({}, { keyBinding: 'session_binding_key=spki' })
    assert.equal(toHex(spkiOfJwk(session.workloadKey!)), toHex(spkiOf(sessionBinding)))
    const nonce = 'challenge'
    const userData = utf8(nonce)
    const answered = await examined({ userData }, { keyBinding: 'user_data=nonce', nonce })
    assert.deepEqual(answered.cases, ['mismatch', 'unknownTcb'])
    assert.equal(answered.nonce, nonce)
    const workloadKey = jwkOfSpki(spkiOf(ecKey()))!
    const bound = sha256(concatBytes(utf8(nonce), spkiOfJwk(workloadKey)))
    const keyBinding = 'user_data=sha256(nonce|spki)'
    const found = await examined({ userData: bound }, { keyBinding, nonce, workloadKey })
    assert.deepEqual(found.workloadKey, workloadKey)
    await assert.rejects(examined({ userData }, { keyBinding, nonce, workloadKey }), refused('key_not_bound'))
    await assert.rejects(examined({}, { keyBinding, nonce, workloadKey }), refused('key_not_bound'))
  })

  it('takes certificates of software that signs nothing besides, and never user data', async () => {
    const legacy = { layer: NOTHING, application: NOTHING }
    assert.ok((await examined({ external: legacy })).workloadKey)
    await assert.rejects(
      examined({ userData: utf8('anything'), external: { userData: NOTHING } }),
      refused('bad_evidence_signature'),
    )
  })

  it('reads Restricted Kernel, whose application is named beside its keys alone', async () => {
    const application = event(
      'ApplicationLayerData',
      bytes(1, bytes(18, digest(0x31))),
      bytes(2, bytes(18, digest(0x32))),
    )
    const found = await examined({ events: [kernelEvent, application], certified: [kernelEvent] })
    const { APPLICATION, APPLICATION_CONFIG, SYSTEM_IMAGE } = measurementsOf(found)
    assert.deepEqual([APPLICATION, APPLICATION_CONFIG, SYSTEM_IMAGE], [hex(0x31), hex(0x32), undefined])
    await assert.rejects(
      examined({ events: [kernelEvent, application], certified: [kernelEvent], withoutApplicationKeys: true }),
      refused('measurement_mismatch'),
    )
  })

  it('reads logs without what is confidential by claims of their own', async () => {
    const transparent = event('Stage0TransparentMeasurements', bytes(2, digest(2)), bytes(6, digest(6)))
    const events = [transparent, systemEvent, containerEvent]
    const { KERNEL, KERNEL_CMDLINE } = measurementsOf(await examined({ events, isTransparent: true }))
    assert.deepEqual([KERNEL, KERNEL_CMDLINE], [hex(2), hex(6)])
  })

  it('has layers that it does not know named by their digests, or nothing matches', async () => {
    const events = [kernelEvent, utf8('anything'), event('SomethingElse', bytes(1, digest(1)))]
    const { cases } = await examined({ events }, { references: [references({})] })
    assert.deepEqual(cases, ['mismatch', 'undated'])
    const digests = Object.fromEntries(events.map((each, i) => [`event:${i}`, toHex(sha256(each))]))
    assert.deepEqual((await examined({ events }, { references: [references(digests)] })).cases, ['match', 'undated'])
    const { 'event:2': _last, ...some } = digests
    const { detail } = await examined({ events }, { references: [references(some)] })
    assert.deepEqual(detail['different'], ['event:2'])
  })

  it('gives no name to a known layer in a place where its own software could have written it', async () => {
    const events = [
      kernelEvent,
      systemEvent,
      containerEvent,
      event('ContainerLayerData', bytes(1, bytes(18, digest(9)))),
    ]
    const measured = measurementsOf(await examined({ events }))
    assert.equal(measured['CONTAINER'], undefined)
    assert.equal(measured['KERNEL'], undefined)
  })

  const stranger = ecKey()
  const wrong: [what: string, code: string, change: Change][] = [
    ['layers in another order', 'bad_evidence_signature', { reorder: ([a, b, c]) => [b!, a!, c!] }],
    ['a layer left out', 'bad_evidence_signature', { reorder: ([a, , c]) => [a!, c!] }],
    ['the last layer left out', 'bad_evidence_signature', { reorder: ([a, b]) => [a!, b!] }],
    ['a layer twice', 'bad_evidence_signature', { reorder: ([a, b, c]) => [a!, b!, b!, c!] }],
    ['the first layer of another machine', 'bad_evidence_signature', { reorder: ([, b, c]) => [b!, b!, c!] }],
    [
      'another event than was certified',
      'measurement_mismatch',
      { certified: [kernelEvent, systemEvent, systemEvent] },
    ],
    [
      'an event more',
      'measurement_mismatch',
      { certified: EVENTS, events: [...EVENTS, containerEvent, containerEvent] },
    ],
    [
      'an event that only the application’s keys name',
      'measurement_mismatch',
      { certified: EVENTS, events: [...EVENTS, systemEvent], lastEvent: containerEvent },
    ],
    ['an event fewer', 'measurement_mismatch', { certified: EVENTS, events: EVENTS.slice(0, 2) }],
    ['keys certified for another event', 'measurement_mismatch', { lastEvent: systemEvent }],
    ['a report about another key', 'measurement_mismatch', { reportData: () => new Uint8Array(64).fill(1) }],
    [
      'a report about more than the key',
      'measurement_mismatch',
      { reportData: (key) => concatBytes(sha256(key), new Uint8Array(32).fill(1)) },
    ],
    ['a report that stage 0 did not ask for', 'malformed_evidence', { vmpl: 1 }],
    [
      'certificates made for something else',
      'bad_evidence_signature',
      { external: { layer: utf8('oak-user-data-v1') } },
    ],
    [
      'keys certified for something else',
      'bad_evidence_signature',
      { external: { application: utf8('oak-dice-layer-v1') } },
    ],
    ['no processor', 'untrusted_root', { platform: 3 }],
    ['a processor of another kind', 'malformed_evidence', { platform: 2 }],
    ['a processor that is not there yet', 'malformed_evidence', { platform: 9 }],
    ['a root layer twice', 'malformed_evidence', { more: bytes(1, number(1, 1)) }],
    ['no events', 'malformed_evidence', { events: [], certified: [] }],
    ['seventeen events', 'malformed_evidence', { events: Array.from({ length: 17 }, () => kernelEvent) }],
    [
      'two keys for signatures',
      'malformed_evidence',
      { events: [kernelEvent, systemEvent, event('ContainerLayerData', bytes(4, pointOf(stranger)))] },
    ],
    [
      'a key that is no point',
      'malformed_evidence',
      { events: [kernelEvent, systemEvent, event('ContainerLayerData', bytes(4, new Uint8Array(65).fill(4)))] },
    ],
    [
      'a measurement that is no SHA-256',
      'malformed_evidence',
      { events: [event('Stage0Measurements', bytes(2, digest(1).subarray(1))), systemEvent, containerEvent] },
    ],
    [
      'a field of another type',
      'malformed_evidence',
      { events: [event('Stage0Measurements', number(2, 1)), systemEvent, containerEvent] },
    ],
    ['a group', 'malformed_evidence', { more: Uint8Array.of(0x43, 0x44) }],
    [
      'a number of more than 64 bits',
      'malformed_evidence',
      { more: concatBytes(Uint8Array.of(0x40), new Uint8Array(9).fill(0xff), Uint8Array.of(0x7f)) },
    ],
    ['a field that is longer than the message', 'malformed_evidence', { more: Uint8Array.of(0x42, 5, 1) }],
    ['a field without a number', 'malformed_evidence', { more: Uint8Array.of(0x02, 0) }],
    [
      'two thousand fields',
      'malformed_evidence',
      { more: concatBytes(...Array.from({ length: 2000 }, () => number(50, 1))) },
    ],
  ]
  for (const [what, code, change] of wrong) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(examined(change), refused(code))
    })
  }

  it('passes over fields that it does not know', async () => {
    const more = concatBytes(
      number(50, 1),
      bytes(51, utf8('x')),
      Uint8Array.of(0xa5, 3, 1, 2, 3, 4),
      Uint8Array.of(0xa1, 3, ...new Uint8Array(8)),
    )
    assert.deepEqual((await examined({ more })).cases, ['mismatch', 'unknownTcb', 'undated'])
  })

  it('with a layer of another machine’s, or another chip’s certificate, it is refused', async () => {
    const { evidence } = makeOak()
    const examination = { references: [], now: NOW, roots, collateral: [] }
    await assert.rejects(format.examine(evidence, examination), refused('missing_collateral'))
    const [, ...others] = makeOak().collateral
    await assert.rejects(
      format.examine(evidence, { ...examination, collateral: others }),
      refused('missing_collateral'),
    )
  })

  it('cut short, or with any bit flipped, it is refused, or says the same of all that it says', async () => {
    const { evidence, collateral } = makeOak({ userData: utf8('data') })
    const examination = { references: [], now: NOW, roots, collateral }
    const whole = await format.examine(evidence, examination)
    const honest = measurementsOf(whole)
    let noticed = 0
    const attempt = async (changed: Uint8Array, what: string) => {
      try {
        const { detail, workloadKey } = await format.examine(changed, examination)
        assert.deepEqual(detail['measurements'], honest, what)
        assert.deepEqual(workloadKey ?? whole.workloadKey, whole.workloadKey, what)
      } catch (error) {
        if (!(error instanceof VerifierError)) throw error
        noticed++
      }
    }
    for (let at = 0; at < evidence.length; at += 13) {
      const changed = evidence.slice()
      changed[at]! ^= 1 << (at % 8)
      await attempt(changed, `byte ${at}`)
      await attempt(evidence.subarray(0, at), `${at} bytes`)
    }
    // What is left: the text that certificates call their key, and numbers of fields that then nobody asks for.
    assert.ok(noticed > 0.95 * 2 * (evidence.length / 13), `${noticed} of ${evidence.length}`)
  })
})

describe('oak: endorsements', () => {
  const system = statementOf({ digest: hex(0x11) })
  const of = (signed: Uint8Array) => variant(10, 'system', bytes(1, signed))
  const withKeys = (...endorsements: readonly Uint8Array[]) => ({ endorsements: [...endorsements, pemOf(rekor)] })

  it('say who vouches for a layer, in which log, and what is claimed', async () => {
    const found = measurementsOf(await examined({}, withKeys(of(signedEndorsement(system)))))
    assert.equal(found['endorser:SYSTEM_IMAGE'], keyHash(endorser))
    assert.equal(found['log:SYSTEM_IMAGE'], keyHash(rekor))
    assert.equal(found['claims:SYSTEM_IMAGE'], toHex(sha256(utf8(canonicalJson(['a', 'b'])))))
    assert.equal(found['endorser:KERNEL'], undefined)
  })

  it('let reference values name whom they believe in the place of each build', async () => {
    const values = { 'endorser:SYSTEM_IMAGE': keyHash(endorser), 'log:SYSTEM_IMAGE': keyHash(rekor) }
    const asked = { references: [references(values)] }
    assert.deepEqual((await examined({}, { ...asked, ...withKeys(of(signedEndorsement(system))) })).cases, [
      'match',
      'undated',
    ])
    // Not endorsed; in no log; in a log whose key nobody gave; by somebody else.
    const stranger = ecKey()
    const none: (readonly Uint8Array[])[] = [
      [pemOf(rekor)],
      [of(signedEndorsement(system, { logEntry: undefined })), pemOf(endorser), pemOf(rekor)],
      [of(signedEndorsement(system))],
      [of(signedEndorsement(system, { logEntry: entryOf(system, { log: stranger }) })), pemOf(rekor), pemOf(stranger)],
      [of(signedEndorsement(system, { logEntry: undefined })), pemOf(stranger), pemOf(rekor)],
    ]
    for (const endorsements of none) {
      assert.deepEqual((await examined({}, { ...asked, endorsements })).cases, ['mismatch', 'undated'])
    }
  })

  it('are for the policy to judge once they have expired, or before they begin', async () => {
    for (const now of [NOW - 60 * 86_400, NOW + 60 * 86_400]) {
      const { cases, detail } = await examined({}, { now, ...withKeys(of(signedEndorsement(system))) })
      assert.ok(cases.includes('expiredCollateral'))
      assert.ok((detail['findings'] as string[]).some((finding) => /the endorsement of "something"/.test(finding)))
    }
  })

  it('of firmware and kernels list what is measured of them', async () => {
    const firmware = concatBytes(
      bytes(1, number(1, 1), bytes(2, bytes(32, utf8('bb'.repeat(48))))),
      bytes(1, number(1, 4), bytes(2, bytes(32, utf8('aa'.repeat(48))))),
    )
    const kernel = concatBytes(bytes(1, bytes(18, utf8(hex(2)))), bytes(2, bytes(18, utf8(hex(1)))))
    const claim = (id: number) => [`https://github.com/project-oak/oak/blob/main/docs/tr/claim/${id}.md`]
    const endorsed = (subject: Uint8Array, id: number) => {
      const statement = statementOf({ digest: toHex(sha256(subject)), claims: claim(id) })
      return bytes(1, signedEndorsement(statement, { subject }))
    }
    const good = concatBytes(
      variant(9, 'firmware', endorsed(firmware, 10271)),
      variant(10, 'kernel', endorsed(kernel, 98982)),
    )
    const found = measurementsOf(await examined({}, withKeys(good)))
    assert.equal(found['endorser:FIRMWARE'], keyHash(endorser))
    assert.equal(found['endorser:KERNEL'], keyHash(endorser))
    const other = concatBytes(bytes(1, bytes(18, utf8(hex(2)))), bytes(2, bytes(18, utf8(hex(7)))))
    for (const bad of [
      variant(10, 'kernel', endorsed(other, 98982)),
      variant(9, 'firmware', endorsed(kernel, 10271)),
      variant(10, 'kernel', endorsed(kernel, 10271)),
    ]) {
      // biome-ignore format: a list
      await assert.rejects(examined({}, withKeys(bad)), refused('wrong_collateral'))
    }
  })

  it('of command lines are regular expressions, which are not run', async () => {
    const subject = utf8('^(a+)+$')
    const statement = statementOf({ digest: toHex(sha256(subject)) })
    const signed = signedEndorsement(statement, { subject })
    const found = measurementsOf(await examined({}, withKeys(variant(10, 'kernel', bytes(2, signed)))))
    assert.equal(found['endorser:KERNEL_CMDLINE'], undefined)
  })

  it('bring the processor’s certificate, and are read in the form of before', async () => {
    const { evidence, collateral } = makeOak()
    const [vcek, ...others] = collateral
    const release = concatBytes(bytes(1, system), bytes(2, signatureOf(system)), bytes(3, entryOf(system)))
    const forms = [
      bytes(2, bytes(1, bytes(1, vcek!)), bytes(3, bytes(1, release))),
      variant(8, 'platform', bytes(1, vcek!)),
    ]
    for (const [i, form] of forms.entries()) {
      const examination = { references: [], now: NOW, roots, collateral: [...others, form] }
      const measured = measurementsOf(await format.examine(evidence, examination))
      assert.equal(measured['endorser:SYSTEM_IMAGE'], i === 0 ? keyHash(endorser) : undefined)
    }
  })

  const flip = (content: Uint8Array, at: number) => {
    const changed = content.slice()
    changed[at]! ^= 1
    return changed
  }
  const entry = (change: EntryChange) => of(signedEndorsement(system, { logEntry: entryOf(system, change) }))
  const stranger = ecKey()
  const refusals: [what: string, code: string, endorsements: Uint8Array][] = [
    ['for another digest', 'wrong_collateral', of(signedEndorsement(statementOf({ digest: hex(0x12) })))],
    [
      'of a layer that was not measured',
      'wrong_collateral',
      variant(10, 'kernel', bytes(3, signedEndorsement(system))),
    ],
    [
      'not signed by its endorser',
      'wrong_collateral',
      of(signedEndorsement(system, { signature: flip(signatureOf(system), 20) })),
    ],
    ['with what it is not about', 'wrong_collateral', of(signedEndorsement(system, { subject: utf8('x') }))],
    [
      'two of one layer',
      'malformed_collateral',
      concatBytes(of(signedEndorsement(system)), of(signedEndorsement(system))),
    ],
    ['of no known form', 'malformed_collateral', of(signedEndorsement(system, { format: 2 }))],
    [
      'about two things',
      'malformed_collateral',
      of(signedEndorsement(statementOf({ digest: hex(0x11), member: { subject: [{}, {}] } }))),
    ],
    [
      'of another kind',
      'malformed_collateral',
      of(signedEndorsement(statementOf({ digest: hex(0x11), member: { predicateType: 'x' } }))),
    ],
    [
      'without validity',
      'malformed_collateral',
      of(signedEndorsement(statementOf({ digest: hex(0x11), member: { predicate: {} } }))),
    ],
    [
      'whose times are none',
      'malformed_collateral',
      of(signedEndorsement(statementOf({ digest: hex(0x11), notAfter: '2025-13-01T00:00:00Z' }))),
    ],
    ['that is no message', 'malformed_collateral', Uint8Array.of(0x0b, 0xff)],
    ['cut short', 'malformed_collateral', of(signedEndorsement(system)).subarray(0, -1)],
    ['logged about something else', 'wrong_collateral', entry({ artifact: utf8('x') })],
    ['logged for another endorser', 'wrong_collateral', entry({ endorser: stranger })],
    ['logged, and not signed by the log', 'wrong_collateral', entry({ signer: stranger })],
    ['logged under a checkpoint of another log', 'wrong_collateral', entry({ checkpointSigner: stranger })],
    ['logged by another path', 'wrong_collateral', entry({ hashes: (hashes) => hashes.toReversed() })],
    ['logged by a path that is too short', 'wrong_collateral', entry({ hashes: ([first]) => [first!] })],
    ['logged under the name of another', 'malformed_collateral', entry({ uuid: '00'.repeat(32) })],
    [
      'logged as __proto__',
      'malformed_collateral',
      of(signedEndorsement(system, { logEntry: utf8('{"__proto__":{}}') })),
    ],
    ['with two entries', 'malformed_collateral', of(signedEndorsement(system, { logEntry: utf8('{}') }))],
  ]
  for (const [what, code, endorsements] of refusals) {
    it(`refuses one ${what} (${code})`, async () => {
      await assert.rejects(examined({}, { endorsements: [endorsements, pemOf(rekor), pemOf(endorser)] }), refused(code))
    })
  }

  it('are taken with the log’s promise alone, where the proof did not come along', async () => {
    const found = measurementsOf(await examined({}, withKeys(entry({ withoutProof: true }))))
    assert.equal(found['log:SYSTEM_IMAGE'], keyHash(rekor))
  })

  it('are at most 64, of whomever', async () => {
    const stranger = ecKey()
    const unsigned = signedEndorsement(system, { logEntry: undefined })
    const many = (count: number) => concatBytes(...Array.from({ length: count }, () => of(unsigned)))
    assert.ok(await examined({}, { endorsements: [many(64), pemOf(stranger)] }))
    await assert.rejects(examined({}, { endorsements: [many(65)] }), refused('malformed_collateral'))
  })

  it('are at most four files', async () => {
    const file = of(signedEndorsement(system))
    await assert.rejects(
      examined({}, withKeys(...Array.from({ length: 5 }, () => file))),
      refused('malformed_collateral'),
    )
  })
})
