import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { Arguments } from '../../clients/cli/command.ts'
import { processIo } from '../../clients/cli/io.ts'
import { readWorkloadFiles } from '../../clients/cli/workload-files.ts'
import { certifiedVerifier } from '../../clients/issuer/sigstore.ts'
import { utf8 } from '../../merkle/index.ts'
import { readAttestations } from '../../provenance/workload/attestation.ts'
import { readBuild } from '../../provenance/workload/build.ts'
import {
  BUILDER,
  bundleOf,
  type Certified,
  createSigstore,
  entryBody,
  envelopeOf,
  type LoggedEntry,
  PROVIDER,
  pemOf,
  type Sigstore,
} from './sigstore-world.ts'

const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'payments', digest: { sha256: 'ab'.repeat(32) } }],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: { buildType: 'https://build.example' },
    runDetails: { builder: { id: 'https://github.com/actions/runner' } },
  },
}
const text = (value: object) => utf8(JSON.stringify(value))
const identity = { subject: BUILDER, issuer: PROVIDER }

let ours: Sigstore
let others: Sigstore
let signed: Certified
let entry: LoggedEntry

before(async () => {
  ;[ours, others] = await Promise.all([createSigstore(), createSigstore()])
  signed = await ours.attest(statement)
  entry = await ours.log(entryBody('dsse 0.0.1', signed))
})

async function read(document: object, roots: object = ours.roots, expected = identity) {
  return readAttestations(text(document), [], await certifiedVerifier({ roots: text(roots), identity: expected }))
}

describe('an attestation with a certificate, where roots are given', () => {
  for (const version of ['0.1', '0.2', '0.3'] as const) {
    it(`verifies in a bundle v${version}, and is the word of whom the certificate names`, async () => {
      const [found] = await read(bundleOf(signed, [entry], { version }))
      assert.deepEqual([found!.identity, found!.signer], [identity, undefined])
      const build = readBuild(found!)
      assert.deepEqual([build.verified, build.identity], [true, identity])
    })
  }

  it('verifies by an entry of the older kind', async () => {
    const old = await ours.log(entryBody('intoto 0.0.2', signed))
    assert.equal((await read(bundleOf(signed, [old])))[0]!.identity, identity)
  })

  it('verifies by a promise alone, in a bundle v0.1', async () => {
    const { inclusionProof: _, ...promised } = entry
    assert.equal((await read(bundleOf(signed, [promised], { version: '0.1' })))[0]!.identity, identity)
  })

  it('verifies with members that are null, as bundles of npm have them, and which are not there', async () => {
    const bundle = bundleOf(signed, [entry])
    const material = { ...bundle.verificationMaterial, publicKey: null, timestampVerificationData: null }
    assert.equal((await read({ ...bundle, verificationMaterial: material }))[0]!.identity, identity)
    const older = bundleOf(signed, [], { version: '0.1' })
    const promised = { ...older.verificationMaterial, tlogEntries: [{ ...entry, inclusionProof: null }] }
    assert.equal((await read({ ...older, verificationMaterial: promised }))[0]!.identity, identity)
  })

  it('verifies by a proof and a timestamp, of a log that promises nothing', async () => {
    const { inclusionPromise: _, ...proven } = await ours.log(entryBody('dsse 0.0.2', signed))
    const bundle = bundleOf(signed, [{ ...proven, integratedTime: '0' }], {
      timestamps: [await ours.timestamp(signed.signature)],
    })
    assert.equal((await read(bundle))[0]!.identity, identity)
  })

  it('verifies by an entry with the digest of what was signed, of a log that knows no envelopes', async () => {
    const hashed = await ours.log(entryBody('hashedrekord 0.0.2', signed))
    assert.equal((await read(bundleOf(signed, [hashed])))[0]!.identity, identity)
    // As a `dsse` entry has it: of the payload alone.
    const digest = createHash('sha256').update(signed.payload).digest('base64')
    const body = JSON.stringify(entryBody('hashedrekord 0.0.2', signed)).replace(
      /"digest":"[^"]+"/,
      `"digest":"${digest}"`,
    )
    const ofPayload = await ours.log(JSON.parse(body))
    await assert.rejects(read(bundleOf(signed, [ofPayload])), { code: 'log_entry_mismatch' })
    const { inclusionPromise: _, ...proven } = entry
    await assert.rejects(read(bundleOf(signed, [hashed, proven])), { code: 'log_entry_mismatch' })
    const other = await ours.attest({ ...statement, predicateType: 'https://other.example' })
    const ofOther = await ours.log(
      entryBody('hashedrekord 0.0.2', { ...signed, payload: other.payload, signature: other.signature }),
    )
    await assert.rejects(read(bundleOf(signed, [ofOther])), { code: 'log_entry_mismatch' })
    const { certificate } = await ours.attest(statement)
    const ofSomebody = await ours.log(entryBody('hashedrekord 0.0.2', { ...signed, certificate }))
    await assert.rejects(read(bundleOf(signed, [ofSomebody])), { code: 'log_entry_mismatch' })
  })

  it('verifies by a timestamp alone only where the roots name no log', async () => {
    const bundle = bundleOf(signed, [], { timestamps: [await ours.timestamp(signed.signature)] })
    assert.equal((await read(bundle, { ...ours.roots, tlogs: [] }))[0]!.identity, identity)
    await assert.rejects(read(bundle), { code: 'attestation_not_logged' })
  })

  it('verifies without an SCT only where the roots name no certificate log', async () => {
    const unlogged = await ours.attest(statement, { sct: false })
    const bundle = bundleOf(unlogged, [], { timestamps: [await ours.timestamp(unlogged.signature)] })
    const roots = { ...ours.roots, tlogs: [] }
    assert.equal((await read(bundle, { ...roots, ctlogs: [] }))[0]!.identity, identity)
    await assert.rejects(read(bundle, roots), { code: 'untrusted_certificate' })
  })

  it('takes names in a checkpoint for names, and not for patterns', async () => {
    const { envelope } = entry.inclusionProof!.checkpoint
    // Under the log's own key hint, or the name would not be looked at.
    const hint = Buffer.from(entry.logId.keyId, 'base64').subarray(0, 4)
    const signature = Buffer.concat([hint, hint]).toString('base64')
    const lines = ['(.+)+(.+)+(.+)+!', '['].map((name) => `\u2014 ${name} ${signature}\n`)
    const checkpoint = { envelope: envelope.replace('\n\n', `\n\n${lines.join('')}`) }
    const odd = { ...entry, inclusionProof: { ...entry.inclusionProof, checkpoint } }
    assert.equal((await read(bundleOf(signed, [odd])))[0]!.identity, identity)
  })

  type Case = [what: string, code: string, read: () => Promise<unknown>]
  const change = (more: object) => bundleOf(signed, [{ ...entry, ...more }])
  const refused: Case[] = [
    [
      'a certificate that had ended',
      'certificate_not_valid',
      async () => {
        return read(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', signed), 661)]))
      },
    ],
    [
      'a certificate that had not begun',
      'certificate_not_valid',
      async () => {
        return read(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', signed), 59)]))
      },
    ],
    ['a bundle without a log entry', 'attestation_not_logged', () => read(bundleOf(signed, []))],
    [
      'an envelope with its certificate and no more',
      'attestation_not_logged',
      () => {
        return read(envelopeOf(signed, { cert: pemOf(signed.certificate) }))
      },
    ],
    [
      'a time that the log did not sign',
      'attestation_not_logged',
      () => {
        const { inclusionPromise: _, ...proven } = entry
        return read(bundleOf(signed, [proven]))
      },
    ],
    [
      'an entry about another envelope',
      'log_entry_mismatch',
      async () => {
        const other = { ...signed, payload: text({ ...statement, subject: [] }) }
        return read(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', other))]))
      },
    ],
    [
      'an entry about another signature',
      'log_entry_mismatch',
      async () => {
        const { signature } = await ours.attest(statement)
        return read(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', { ...signed, signature }))]))
      },
    ],
    [
      'an entry about another certificate',
      'log_entry_mismatch',
      async () => {
        const { certificate } = await ours.attest(statement)
        return read(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', { ...signed, certificate }))]))
      },
    ],
    [
      'an entry of a kind that is not about envelopes',
      'log_entry_mismatch',
      async () => {
        return read(bundleOf(signed, [await ours.log(entryBody('hashedrekord 0.0.1', signed))]))
      },
    ],
    [
      'an entry of another log',
      'bad_log_entry',
      async () => {
        return read(bundleOf(signed, [await others.log(entryBody('dsse 0.0.1', signed))]))
      },
    ],
    [
      'a second entry that is another log’s',
      'bad_log_entry',
      async () => {
        return read(bundleOf(signed, [entry, await others.log(entryBody('dsse 0.0.1', signed))]))
      },
    ],
    [
      'a promise with another time',
      'bad_log_entry',
      () => {
        return read(change({ integratedTime: String(Number(entry.integratedTime) + 1) }))
      },
    ],
    [
      'the checkpoint of another log',
      'bad_log_entry',
      async () => {
        const { inclusionProof } = await others.log(entryBody('dsse 0.0.1', signed))
        return read(change({ inclusionProof }))
      },
    ],
    [
      'the checkpoint of another tree',
      'bad_log_entry',
      async () => {
        const { inclusionProof } = await ours.log(entryBody('intoto 0.0.2', signed))
        return read(change({ inclusionProof }))
      },
    ],
    [
      'an entry from before the log’s key',
      'bad_log_entry',
      () => {
        const [tlog] = ours.roots.tlogs
        const validFor = { start: new Date((Number(entry.integratedTime) + 1) * 1000).toISOString() }
        return read(change({}), { ...ours.roots, tlogs: [{ ...tlog, publicKey: { ...tlog!.publicKey, validFor } }] })
      },
    ],
    [
      'a proof from before the log’s key',
      'bad_log_entry',
      async () => {
        const [tlog] = ours.roots.tlogs
        const validFor = { start: new Date((Number(entry.integratedTime) + 1) * 1000).toISOString() }
        const { inclusionPromise: _, ...proven } = entry
        const timestamps = [await ours.timestamp(signed.signature)]
        const tlogs = [{ ...tlog, publicKey: { ...tlog!.publicKey, validFor } }]
        return read(bundleOf(signed, [proven], { timestamps }), { ...ours.roots, tlogs })
      },
    ],
    [
      'a timestamp over something else',
      'bad_timestamp',
      async () => {
        return read(bundleOf(signed, [entry], { timestamps: [await ours.timestamp(signed.payload)] }))
      },
    ],
    [
      'a timestamp of another authority',
      'bad_timestamp',
      async () => {
        return read(bundleOf(signed, [entry], { timestamps: [await others.timestamp(signed.signature)] }))
      },
    ],
    [
      'another identity',
      'unexpected_signer',
      async () => {
        const other = await ours.attest(statement, { identity: `${BUILDER}.2` })
        return read(bundleOf(other, [await ours.log(entryBody('dsse 0.0.1', other))]))
      },
    ],
    [
      'another OpenID provider',
      'unexpected_signer',
      async () => {
        const other = await ours.attest(statement, { provider: 'https://accounts.example' })
        return read(bundleOf(other, [await ours.log(entryBody('dsse 0.0.1', other))]))
      },
    ],
    [
      'an identity that a pattern would fit',
      'unexpected_signer',
      () => {
        return read(change({}), ours.roots, { ...identity, subject: '.*' })
      },
    ],
    [
      'the roots of another CA',
      'untrusted_certificate',
      () => {
        const { certificateAuthorities } = others.roots
        return read(change({}), { ...ours.roots, certificateAuthorities })
      },
    ],
    [
      'the roots of another certificate log',
      'untrusted_certificate',
      () => {
        return read(change({}), { ...ours.roots, ctlogs: others.roots.ctlogs })
      },
    ],
    [
      'a certificate that is on no certificate log',
      'untrusted_certificate',
      async () => {
        const other = await ours.attest(statement, { sct: false })
        return read(bundleOf(other, [await ours.log(entryBody('dsse 0.0.1', other))]))
      },
    ],
    [
      'a CA that the roots no longer have',
      'untrusted_certificate',
      () => {
        const [ca] = ours.roots.certificateAuthorities
        const validFor = { ...ca!.validFor, end: ca!.validFor.start }
        return read(change({}), { ...ours.roots, certificateAuthorities: [{ ...ca, validFor }] })
      },
    ],
    [
      'a payload that was changed',
      'bad_signature',
      () => {
        const payload = text({ ...statement, predicateType: 'https://slsa.dev/provenance/v0.2' })
        return read(bundleOf({ ...signed, payload }, [entry]))
      },
    ],
    [
      'the certificate of somebody else',
      'bad_signature',
      async () => {
        const { certificate } = await ours.attest(statement)
        return read(bundleOf({ ...signed, certificate }, [entry]))
      },
    ],
    ['an envelope without a certificate', 'bad_signature', () => read(envelopeOf(signed))],
    ['a statement that nobody signed', 'bad_signature', () => read(statement)],
    [
      'a bundle that names a key',
      'bad_signature',
      () => {
        const bundle = bundleOf(signed, [entry])
        const { certificate: _, ...material } = bundle.verificationMaterial as { certificate?: object }
        return read({ ...bundle, verificationMaterial: { ...material, publicKey: { hint: 'ours' } } })
      },
    ],
    [
      'a certificate that is none',
      'malformed_attestation',
      () => {
        return read(bundleOf({ ...signed, certificate: signed.certificate.subarray(0, 99) }, [entry]))
      },
    ],
    [
      'a bundle v0.2 without a proof',
      'malformed_attestation',
      () => {
        const { inclusionProof: _, ...promised } = entry
        return read(bundleOf(signed, [promised], { version: '0.2' }))
      },
    ],
    ['an index of a million digits', 'malformed_attestation', () => read(change({ logIndex: '9'.repeat(1e6) }))],
    [
      'a timestamp that is none',
      'malformed_attestation',
      () => read(bundleOf(signed, [entry], { timestamps: ['MAA='] })),
    ],
    ['a body that is no JSON', 'malformed_attestation', () => read(change({ canonicalizedBody: 'AAAA' }))],
    [
      'more entries than anybody has',
      'malformed_attestation',
      () => {
        return read(
          bundleOf(
            signed,
            Array.from({ length: 9 }, () => entry),
          ),
        )
      },
    ],
  ]
  for (const [what, code, act] of refused) {
    it(`refuses ${what} (${code})`, () => assert.rejects(act(), { code }))
  }

  it('refuses roots that are none (malformed_roots)', async () => {
    const { roots } = ours
    const wrong = [{}, [], { ...roots, certificateAuthorities: [] }, { ...roots, tlogs: [{}] }]
    for (const each of [...wrong, { ...roots, tlogs: [], timestampAuthorities: [] }]) {
      await assert.rejects(read(bundleOf(signed, [entry]), each), { code: 'malformed_roots' })
    }
  })
})

describe('the flags for roots', () => {
  const flags = {
    'attestation-roots': 'trusted_root.json',
    'attestation-identity': BUILDER,
    'attestation-issuer': PROVIDER,
  }
  const io = { ...processIo(), readFile: async (path: string) => utf8(path) }

  it('are what whoever issues or publishes verifies by', async () => {
    const { attestationRoots } = await readWorkloadFiles(new Arguments(flags, []), io)
    assert.deepEqual(attestationRoots, { roots: utf8('trusted_root.json'), identity })
    assert.equal((await readWorkloadFiles(new Arguments({}, []), io)).attestationRoots, undefined)
  })

  for (const name of Object.keys(flags)) {
    it(`are refused without --${name}: a certificate of anybody would do`, async () => {
      const args = new Arguments({ ...flags, [name]: undefined }, [])
      await assert.rejects(readWorkloadFiles(args, io), { name: 'UsageError' })
    })
  }
})
