/**
 * The page that shows the formats says what the examples are, and the examples are what it says.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  decodeEntryBundle,
  equalBytes,
  fromUtf8,
  hashLeaf,
  openCheckpoint,
  parseTlogProof,
  parseVkey,
  splitHashes,
} from '../../merkle/index.ts'
import { decodeBundle, parseTrust, recordOfStatement, verifyCredential } from '../../provenance/index.ts'
import { EXAMPLES_FOLDER, type ExampleName, formatsPage } from '../../scripts/docs/formats.ts'
import {
  decodeProblem,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  wrapRecipientKid,
} from '../../statement/index.ts'

const example = (name: ExampleName) => new Uint8Array(readFileSync(join(EXAMPLES_FOLDER, name)))
const text = (name: ExampleName) => fromUtf8(example(name)).trimEnd()

const vkey = text('log.vkey')
const checkpoint = openCheckpoint(example('checkpoint.txt'), {
  origin: vkey.slice(0, vkey.indexOf('+')),
  verifiers: [parseVkey(vkey)],
})
const statement = parseSignedStatement(example('statement.cose'))
const record = recordOfStatement(statement)

describe('docs/formats.md', () => {
  it('is the page made from the examples', () => {
    assert.equal(readFileSync('docs/formats.md', 'utf8'), formatsPage(example), 'run npm run docs')
  })

  it('shows a tile and an entry bundle of the tree that the checkpoint signs', () => {
    const hashes = splitHashes(example('tile.bin'))
    const entries = decodeEntryBundle(example('entries.bin'), checkpoint.size)
    assert.equal(hashes.length, checkpoint.size)
    assert.deepEqual(hashes, entries.map(hashLeaf))
    assert.ok(entries.some((entry) => equalBytes(entry, statement.entry)))
  })

  it('shows an inclusion proof that leads to its checkpoint', () => {
    assert.equal(parseTlogProof(`${text('entry.tlog-proof')}\n`).checkpoint.trimEnd(), text('checkpoint.txt'))
  })

  it('shows a receipt of the statement, and both as a transparent statement', () => {
    const receipt = parseReceipt(example('receipt.cose'))
    assert.equal(receipt.profile, 'provlog')
    assert.equal(receipt.origin, checkpoint.origin)
    const { statement: inside, receipts } = parseTransparentStatement(example('transparent-statement.cose'))
    assert.deepEqual(inside.entry, statement.entry)
    assert.deepEqual(receipts[0], example('receipt.cose'))
  })

  it('shows the wrap and the problem that the log would send', () => {
    assert.match(wrapRecipientKid(example('wrap.json')) ?? '', /^[A-Za-z0-9_-]{43}$/)
    assert.equal(decodeProblem(example('problem.cbor')).code, 'not_found')
  })

  it('shows a credential whose bundle verifies under the trust file, at the time it was issued', async () => {
    assert.equal(record.type, 'credential-provenance')
    const issuedAt = statement.header.issuedAt ?? 0
    assert.deepEqual(decodeBundle(example('bundle.provlog')).origin, checkpoint.origin)
    const report = await verifyCredential({
      credential: example('credential.jwt'),
      bundle: example('bundle.provlog'),
      trust: parseTrust(text('TRUST.json')),
      at: issuedAt,
    })
    assert.deepEqual(
      report.checks.filter(({ outcome }) => outcome === 'failed'),
      [],
    )
    assert.equal(report.ok, true)
  })
})
