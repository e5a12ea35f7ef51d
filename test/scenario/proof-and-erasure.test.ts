/**
 * `proof`, `verify-proof`, witness policies, and `issuer erase`, `log erase`: by the commands themselves, against a log they started.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { createCosigner, formatTlogProof, parseNote, parseTlogProof, signNote } from '../../merkle/index.ts'
import { line } from '../../scripts/line.ts'
import { decodeCbor } from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'

const TD = 'bank.example'
const cli = new TestCommand()
const witness = createCosigner('witness.example', new Uint8Array(32).fill(3), () => 1_800_000_000)
let log = ''
let vkey = ''
let stop = async () => 0
let pinned: readonly string[] = []
let admin: readonly string[] = []
/** Of the issuance policy, the third entry. */
let entry = ''

before(async () => {
  await cli.json('keygen', '--alg', 'ES256', '--out', '@issuer.jwk')
  await cli.json('keygen', '--alg', 'X25519', '--out', '@auditor.jwk')
  const created = await cli.json('log', 'init', '--data', '@log', '--origin', 'log.bank.example/test')
  const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  stop = serving.stop
  log = String(serving.first['url'])
  vkey = String(serving.first['vkey'])
  pinned = ['--log', log, '--vkey', vkey]
  admin = [...pinned, '--admin-key', String(created['adminKey'])]
  const identity = ['--trust-domain', TD, '--id', `spiffe://${TD}/issuer`, '--key', '@issuer.pub.jwk']
  await cli.json('log', 'authorize', ...admin, '--role', 'issuer', ...identity)
  const policy = ['--key', '@issuer.jwk', '--id', 'payments', 'docs/examples/issuance-policy.cedar']
  entry = String((await cli.json('issuer', 'publish-policy', ...pinned, ...policy))['entry'])
  writeFileSync(cli.path('quorum.txt'), `witness w ${witness.vkey}\nquorum w\n`)
  writeFileSync(cli.path('policy.txt'), `# ours\nlog ${vkey} ${log}\nwitness w ${witness.vkey}\nquorum w\n`)
  writeFileSync(cli.path('lax.txt'), `log ${vkey}\nquorum none\n`)
})

after(async () => {
  await stop()
  cli.remove()
})

/** The proof in `name` with the witness's cosignature on its checkpoint, as `cosigned`. */
function cosign(name: string): void {
  const proof = parseTlogProof(readFileSync(cli.path(name)))
  const cosigned = signNote(parseNote(proof.checkpoint).text, [witness])
  const lines = cosigned.slice(cosigned.lastIndexOf('\n\n') + 2)
  writeFileSync(cli.path('cosigned'), formatTlogProof({ ...proof, checkpoint: proof.checkpoint + lines }))
}

describe('proof and verify-proof', () => {
  it('prove an entry by its hash and by its index, to a file or to stdout', async () => {
    const byHash = await cli.json('proof', ...pinned, entry, '--out', '@hash.tlog-proof')
    const byIndex = await cli.json('proof', ...pinned, '0.2', '--out', '@index.tlog-proof')
    assert.deepEqual({ ...byHash, proof: '' }, { ...byIndex, proof: '' })
    assert.deepEqual({ ...byHash, proof: '' }, { entry, index: 2, size: 3, proof: '' })
    assert.deepEqual(readFileSync(cli.path('hash.tlog-proof')), readFileSync(cli.path('index.tlog-proof')))
    const { out } = await cli.run('proof', ...pinned, entry)
    assert.equal(`${out}\n`, readFileSync(cli.path('hash.tlog-proof'), 'utf8'))

    const verified = await cli.json('verify-proof', '@hash.tlog-proof', '--vkey', vkey, '--entry', entry)
    assert.equal(verified['ok'], true)
    assert.deepEqual([verified['index'], verified['size'], verified['origin']], [2, 3, 'log.bank.example/test'])
  })

  it('take the statement instead of its entry, with receipts or without', async () => {
    const answer = await fetch(`${log}/entries/${entry}/statement`)
    writeFileSync(cli.path('transparent.cose'), new Uint8Array(await answer.arrayBuffer()))
    const words = ['verify-proof', '@hash.tlog-proof', '--vkey', vkey, '--statement', '@transparent.cose']
    assert.equal((await cli.json(...words))['entry'], entry)
  })

  it('ask for the witnesses of a policy, which may name the log too', async () => {
    const proof = ['verify-proof', '@hash.tlog-proof', '--entry', entry]
    assert.equal((await cli.run(...proof, '--policy', '@lax.txt')).exit, 0)
    const unmet = await cli.run(...proof, '--policy', '@policy.txt')
    assert.equal(unmet.exit, 1)
    assert.match(unmet.err, /quorum_not_met/)

    cosign('hash.tlog-proof')
    for (const trust of [
      ['--policy', '@policy.txt'],
      ['--vkey', vkey, '--policy', '@quorum.txt'],
    ]) {
      const { cosignatures } = await cli.json('verify-proof', '@cosigned', '--entry', entry, ...trust)
      assert.deepEqual(cosignatures, [{ witness: 'w', cosignedAt: 1_800_000_000 }])
    }
  })

  const other = 'ab'.repeat(32)
  const refusals: readonly (readonly [what: string, exit: number, code: RegExp, words: () => readonly string[]])[] = [
    ['another entry', 1, /root_mismatch/, () => ['@hash.tlog-proof', '--vkey', vkey, '--entry', other]],
    ['a key of another log', 1, /unknown_signer/, () => ['@hash.tlog-proof', '--vkey', OTHER_VKEY, '--entry', entry]],
    [
      'a policy without this log',
      1,
      /wrong_origin/,
      () => ['@hash.tlog-proof', '--policy', '@quorum.txt', '--entry', entry],
    ],
    ['what is no proof', 1, /malformed_proof/, () => ['@quorum.txt', '--vkey', vkey, '--entry', entry]],
    [
      'what is no policy',
      1,
      /malformed_policy/,
      () => ['@hash.tlog-proof', '--policy', '@hash.tlog-proof', '--entry', entry],
    ],
    ['no trust at all', 2, /usage/, () => ['@hash.tlog-proof', '--entry', entry]],
    ['nothing to prove', 2, /usage/, () => ['@hash.tlog-proof', '--vkey', vkey]],
    ['an entry that is none', 2, /usage/, () => ['@hash.tlog-proof', '--vkey', vkey, '--entry', '0.2']],
    [
      'keys of two logs',
      2,
      /usage/,
      () => ['@hash.tlog-proof', '--vkey', vkey, '--vkey', OTHER_VKEY, '--entry', entry],
    ],
    ['no file', 2, /usage/, () => ['@nowhere', '--vkey', vkey, '--entry', entry]],
  ]
  for (const [what, exit, code, words] of refusals) {
    it(`refuse ${what} (${exit})`, async () => {
      const answer = await cli.run('verify-proof', ...words())
      assert.equal(answer.exit, exit, answer.err)
      assert.match(answer.err, code)
    })
  }

  it('say 4 for an entry that is not there, 2 for what names none, 3 for a log that is not', async () => {
    for (const [words, exit] of [
      [[...pinned, other], 4],
      [[...pinned, '0.3'], 4],
      [[...pinned, '0.03'], 2],
      [[...pinned, entry.slice(1)], 2],
      [['--log', 'http://127.0.0.1:1', '--vkey', vkey, entry], 3],
    ] as const) {
      assert.equal((await cli.run('proof', ...words)).exit, exit, words.join(' '))
    }
  })

  it('pin the log by its policy, and insist on its witnesses wherever a log is pinned', async () => {
    assert.equal((await cli.run('proof', '--log', log, '--witness-policy', '@lax.txt', entry)).exit, 0)
    const unmet = await cli.run('proof', '--log', log, '--witness-policy', '@policy.txt', entry)
    assert.equal(unmet.exit, 1)
    assert.match(unmet.err, /quorum_not_met/)

    writeFileSync(cli.path('td.json'), JSON.stringify({ keys: [] }))
    const domain = [
      '--domain',
      `${TD}=@td.json`,
      '--issuer',
      `spiffe://${TD}/issuer`,
      '--verifier',
      `spiffe://${TD}/verifier`,
    ]
    for (const [policy, exit] of [
      ['@lax.txt', 0],
      ['@policy.txt', 1],
    ] as const) {
      await cli.json('trust', ...pinned, ...domain, '--witness-policy', policy, '--out', '@TRUST.json')
      const audit = await cli.run('audit', 'run', '--log', log, '--trust', '@TRUST.json', '--state', `@state-${exit}`)
      assert.equal(audit.exit, exit, audit.err)
      if (exit === 1) assert.match(audit.err, /quorum_not_met/)
    }
  })
})

describe('issuer erase and log erase', () => {
  it('destroy keys, then the statement; what stays is proven still, and the audit explains it', async () => {
    const keys = await cli.json('issuer', 'erase', ...pinned, '--key', '@issuer.jwk', entry, '--reason', 'retention')
    assert.deepEqual([keys['erased'], keys['index']], [entry, 3])
    const wraps = await fetch(`${log}/v1/entries/${entry}/wraps`)
    assert.deepEqual(decodeCbor(new Uint8Array(await wraps.arrayBuffer())), [])

    const erased = await cli.json('log', 'erase', ...admin, '--scope', 'statement', entry)
    assert.equal(erased['index'], 4)
    assert.equal((await fetch(`${log}/entries/${entry}/statement`)).status, 410)

    const proof = await cli.json('proof', ...pinned, entry, '--out', '@after.tlog-proof')
    assert.deepEqual([proof['index'], proof['size']], [2, 5])
    assert.equal((await cli.run('verify-proof', '@after.tlog-proof', '--vkey', vkey, '--entry', entry)).exit, 0)

    const audit = ['audit', 'run', '--log', log, '--trust', '@TRUST.json']
    await cli.json(
      ...line`trust ${pinned} --domain ${TD}=@td.json --issuer spiffe://${TD}/issuer
        --verifier spiffe://${TD}/verifier --out @TRUST.json`,
    )
    for (const state of ['@state-0', '@fresh']) {
      const { exit, err } = await cli.run(...audit, '--state', state)
      assert.equal(exit, 0, err)
    }
    const { findings } = await cli.json(...audit, '--state', '@fresh')
    assert.deepEqual(
      (findings as { check: string }[]).map(({ check }) => check),
      ['erased-by-record'],
    )
  })

  it('are refused where they may not, with the log’s word', async () => {
    for (const [words, exit, code] of [
      [['log', 'erase', ...admin, '--scope', 'statement', '00'.repeat(32)], 1, /link_dangling/],
      [['log', 'erase', ...admin, '--scope', 'all', entry], 2, /usage/],
      [['issuer', 'erase', ...pinned, '--key', '@issuer.jwk', 'nothing'], 2, /usage/],
    ] as const) {
      const answer = await cli.run(...words)
      assert.equal(answer.exit, exit)
      assert.match(answer.err, code)
    }
  })
})

const OTHER_VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
