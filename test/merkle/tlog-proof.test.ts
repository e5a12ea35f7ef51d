import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toBase64, utf8 } from '../../merkle/bytes.ts'
import { signCheckpoint } from '../../merkle/checkpoint.ts'
import { createCosigner } from '../../merkle/cosignature.ts'
import { MerkleError } from '../../merkle/error.ts'
import { createNoteSigner, parseVkey } from '../../merkle/note.ts'
import { checkTlogProof, formatTlogProof, parseTlogProof, type TlogProof } from '../../merkle/tlog-proof.ts'
import { parseWitnessPolicy } from '../../merkle/witness-policy.ts'
import { mutations } from './mutations.ts'
import { leavesOf, mth, path } from './rfc-tree.ts'

const origin = 'log.example'
const leaves = leavesOf(11)
const signer = createNoteSigner(origin, new Uint8Array(32).fill(1))
const witness = createCosigner('w.example', new Uint8Array(32).fill(2), () => 1000)
const log = { origin, verifiers: [parseVkey(signer.vkey)] }
const policy = parseWitnessPolicy(`witness w ${witness.vkey}\nquorum w\n`)
const checkpoint = signCheckpoint({ origin, size: 11, root: mth(leaves) }, [signer, witness])
const honest: TlogProof = { extra: utf8('age-v1.2.1.tar.gz'), index: 5, proof: path(5, leaves), checkpoint }
const file = formatTlogProof(honest)

describe('proof files', () => {
  it('are laid out as c2sp.org/tlog-proof says', () => {
    const hashes = honest.proof.map((hash) => `${toBase64(hash)}\n`).join('')
    assert.equal(file, `c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMS50YXIuZ3o=\nindex 5\n${hashes}\n${checkpoint}`)
  })

  it('come back as they went, with and without extra bytes and hashes', () => {
    const { extra: _, ...bare } = honest
    for (const proof of [honest, bare, { ...bare, index: 0, proof: [] }, { ...honest, extra: new Uint8Array(0) }]) {
      assert.deepEqual(parseTlogProof(formatTlogProof(proof)), proof)
      assert.deepEqual(parseTlogProof(utf8(formatTlogProof(proof))), proof)
    }
  })

  it('hold for the entry they are about, with and without a policy', () => {
    assert.equal(checkTlogProof(parseTlogProof(file), leaves[5]!, log).size, 11)
    assert.deepEqual(checkTlogProof(parseTlogProof(file), leaves[5]!, log, policy).cosignatures, [
      { witness: 'w', cosignedAt: 1000 },
    ])
  })

  const alone = signCheckpoint({ origin, size: 11, root: mth(leaves) }, [signer])
  const lies: [what: string, code: string, lie: Partial<TlogProof>][] = [
    ['for another index', 'root_mismatch', { index: 4 }],
    ['for an index past the tree', 'index_out_of_range', { index: 11 }],
    ['with a hash missing', 'proof_wrong_length', { proof: honest.proof.slice(1) }],
    ['that no witness saw', 'quorum_not_met', { checkpoint: alone }],
    ['with a changed checkpoint', 'bad_signature', { checkpoint: checkpoint.replace('\n11\n', '\n12\n') }],
    ['with no checkpoint', 'malformed_note', { checkpoint: '' }],
  ]
  for (const [what, code, lie] of lies) {
    it(`do not hold ${what} (${code})`, () => {
      assert.throws(() => checkTlogProof({ ...honest, ...lie }, leaves[5]!, log, policy), {
        name: 'EvidenceError',
        code,
      })
    })
  }

  it('do not hold for another entry (root_mismatch) or of another log (wrong_origin)', () => {
    assert.throws(() => checkTlogProof(honest, leaves[6]!, log), { code: 'root_mismatch' })
    assert.throws(() => checkTlogProof(honest, leaves[5]!, { ...log, origin: 'b' }), { code: 'wrong_origin' })
  })

  const hash = toBase64(leaves[0]!)
  const refused: [what: string, text: string][] = [
    ['nothing', ''],
    ['another version', file.replace('@v1', '@v2')],
    ['a line feed in front', `\n${file}`],
    ['no empty line', file.replaceAll('\n\n', '\n')],
    ['no index', file.replace('index 5\n', '')],
    ['two indexes', file.replace('index 5\n', 'index 5\nindex 5\n')],
    ['an index with a leading zero', file.replace('index 5', 'index 05')],
    ['an index past 2⁵³ − 1', file.replace('index 5', `index ${2 ** 53}`)],
    ['a negative index', file.replace('index 5', 'index -5')],
    ['extra bytes behind the index', file.replace(/(extra .*\n)(index 5\n)/, '$2$1')],
    ['extra bytes twice', file.replace(/(extra .*\n)/, '$1$1')],
    ['extra bytes that are not base64', file.replace(/extra .*\n/, 'extra !\n')],
    ['extra bytes without a space', file.replace('extra ', 'extra')],
    ['a hash of 31 bytes', file.replace(/index 5\n.*\n/, `index 5\n${toBase64(leaves[0]!.slice(1))}\n`)],
    ['a hash in base64 without padding', file.replace(/index 5\n.*\n/, `index 5\n${hash.slice(0, -1)}\n`)],
    ['64 hashes', file.replace('index 5\n', `index 5\n${`${hash}\n`.repeat(64)}`)],
    ['carriage returns', file.replaceAll('\n', '\r\n')],
  ]
  for (const [what, text] of refused) {
    it(`are refused with ${what} (malformed_proof)`, () => {
      assert.throws(() => parseTlogProof(text), { name: 'EvidenceError', code: 'malformed_proof' })
    })
  }

  it('are refused when they are not UTF-8 (malformed_proof)', () => {
    assert.throws(() => parseTlogProof(Uint8Array.of(0xff)), { code: 'malformed_proof' })
  })

  it('are refused or read to the letter, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), mutations(file)), (text) => {
        try {
          assert.equal(formatTlogProof(parseTlogProof(text)), text)
        } catch (error) {
          assert.ok(error instanceof MerkleError && error.code === 'malformed_proof', String(error))
        }
      }),
      { numRuns: 1000 },
    )
  })
})
