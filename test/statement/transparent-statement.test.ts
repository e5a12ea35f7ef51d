import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CborValue } from '../../statement/cbor.ts'
import { encodeCoseSign1 } from '../../statement/cose-sign1.ts'
import { buildReceipt, parseReceipt, signTreeHead, verifyReceipt } from '../../statement/receipt.ts'
import { signStatement, verifySignedStatement } from '../../statement/signed-statement.ts'
import {
  attachReceipts,
  parseTransparentStatement,
  receiptsBeside,
  withReceipts,
} from '../../statement/transparent-statement.ts'
import { attachWraps, withWraps, wrapsIn } from '../../statement/wrap.ts'
import { ED25519_JWK, ES256_JWK, hex, keysOf, someEntries, treeOf, utf8 } from './fixtures.ts'

const issuer = await keysOf(ED25519_JWK)
const log = await keysOf(ES256_JWK)
const content = { issuer: 'a', subject: 'b', issuedAt: 0, contentType: 'text/plain', payload: utf8('x') }
const statement = await signStatement(content, issuer.signing)

describe('a Transparent Statement', () => {
  it('verifies as a statement and by its receipt, and stripped is what was registered', async () => {
    const tree = treeOf([...someEntries(4), statement.entry])
    const head = await signTreeHead({ origin: 'log', size: 5, root: tree.root(5), issuedAt: 0 }, log.signing)
    const bytes = attachReceipts(statement.bytes, [buildReceipt(head, { index: 4, proof: tree.inclusion(4, 5) })])

    const { statement: read, receipts } = parseTransparentStatement(bytes)
    assert.deepEqual(read.bytes, statement.bytes)
    await verifySignedStatement(read, issuer.verification)
    const verified = await verifyReceipt(parseReceipt(receipts[0]!), read.entry, log.verification, { origin: 'log' })
    assert.equal(verified.index, 4)
  })

  it('collects receipts of several logs, each once, and keeps other headers', () => {
    const once = attachReceipts(attachWraps(statement.bytes, [utf8('{}')]), [hex('01'), hex('02')])
    const twice = attachReceipts(once, [hex('02'), hex('03')])
    const read = parseTransparentStatement(twice)
    assert.deepEqual(read.receipts, [hex('01'), hex('02'), hex('03')])
    assert.deepEqual(wrapsIn(read.statement.unprotected), [utf8('{}')])
    assert.deepEqual(read.statement.entry, statement.entry)
  })

  it('is the statement itself when there is no receipt', () => {
    assert.deepEqual(attachReceipts(statement.bytes, []), statement.bytes)
    assert.deepEqual(parseTransparentStatement(statement.bytes).receipts, [])
  })

  const many = (count: number) => Array.from({ length: count }, (_, i) => Uint8Array.of(i))
  it('holds 16 receipts and no more (too_large)', () => {
    assert.equal(parseTransparentStatement(attachReceipts(statement.bytes, many(16))).receipts.length, 16)
    assert.throws(() => attachReceipts(statement.bytes, many(17)), { code: 'too_large' })
  })

  const refused: [what: string, code: string, receipts: CborValue][] = [
    ['17 receipts', 'too_large', many(17)],
    ['an empty list', 'malformed_statement', []],
    ['no list', 'malformed_statement', hex('01')],
    // RFC 9943's CDDL reads so; RFC 9942 and every implementation write byte strings.
    ['a receipt that is not in a byte string', 'malformed_statement', [[hex('a0'), new Map(), null, hex('00')]]],
  ]
  for (const [what, code, receipts] of refused) {
    it(`refuses ${what} (${code})`, () => {
      const bytes = encodeCoseSign1({ ...statement.sign1, unprotected: new Map([[394, receipts]]) })
      assert.throws(() => parseTransparentStatement(bytes), { code })
    })
  }
})

describe('what is read once of a statement', () => {
  const receipts = [hex('01'), hex('0203')]
  const transparent = attachReceipts(statement.bytes, receipts)

  it('is written with other receipts as attaching them writes it, and found again beside them', () => {
    assert.deepEqual(withReceipts(statement, receipts), transparent)
    for (const wraps of [[], [utf8('{}')], [utf8('{}'), utf8('{"a":1}')]]) {
      assert.deepEqual(withWraps(statement, wraps), attachWraps(statement.bytes, wraps))
    }
    const tooMany = Array.from({ length: 65 }, (_, i) => Uint8Array.of(i))
    assert.throws(() => withWraps(statement, tooMany), { code: 'too_large' })
    assert.deepEqual(receiptsBeside(statement, transparent), receipts)
    assert.deepEqual(receiptsBeside(statement, attachReceipts(statement.bytes, [hex('04')])), [hex('04')])
  })

  it('is not found in bytes that differ anywhere but in the receipts', () => {
    for (let i = 0; i < transparent.length; i++) {
      const other = transparent.slice()
      other[i]! ^= 1
      const found = receiptsBeside(statement, other)
      // What stands between is a list of receipts still, or nothing is found.
      if (found) assert.deepEqual(attachReceipts(statement.bytes, found), other)
    }
    for (let end = 0; end < transparent.length; end++) {
      assert.equal(receiptsBeside(statement, transparent.subarray(0, end)), undefined)
    }
  })

  it('is not found where there is more beside it than receipts, or nothing', async () => {
    assert.equal(receiptsBeside(statement, statement.bytes), undefined)
    assert.equal(receiptsBeside(statement, attachWraps(transparent, [utf8('{}')])), undefined)
    const another = await signStatement({ ...content, payload: utf8('y') }, issuer.signing)
    assert.equal(receiptsBeside(another, transparent), undefined)
    const empty = encodeCoseSign1({ ...statement.sign1, unprotected: new Map([[394, []]]) })
    assert.equal(receiptsBeside(statement, empty), undefined)
  })
})
