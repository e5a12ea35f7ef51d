import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../merkle/bytes.ts'
import { asMap, type CborValue, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import { decodeProblem, encodeProblem } from '../../statement/problem-details.ts'
import { hex, utf8 } from './fixtures.ts'

const OURS = 'tag:provlog.example,2026:problem'

describe('concise problem details', () => {
  it('are there and back what they were', () => {
    const short = { title: 'Rejected', detail: 'no such issuer' }
    const full = { ...short, code: 'unknown_issuer', status: 403 }
    for (const problem of [short, full]) assert.deepEqual(decodeProblem(encodeProblem(problem)), problem)
  })

  it('have the labels of RFC 9290 and the form of SCRAPI', () => {
    assert.equal(toHex(encodeProblem({ title: 'a', detail: 'b' })), 'a2206161216162')
  })

  it('have what is ours in a map under a URI, and no response code: RFC 9290 §2 means that of CoAP, in one byte', () => {
    const problem = asMap(decodeCbor(encodeProblem({ title: 'a', detail: 'b', code: 'c', status: 404 })), 'a problem')
    const ours = new Map<string, CborValue>([
      ['code', 'c'],
      ['status', 404],
    ])
    assert.deepEqual([...problem.keys()], [-1, -2, OURS])
    assert.deepEqual(problem.get(OURS), ours)
  })

  it('of others may have other members (4.04, say), in any order, and lack some of ours', () => {
    const others = hex('a3 23 18 84 21 61 62 20 61 61')
    assert.deepEqual(decodeProblem(others), { title: 'a', detail: 'b' })
    assert.deepEqual(decodeProblem(hex('a0')), { title: '', detail: '' })
  })

  const refused: [what: string, code: string, bytes: Uint8Array][] = [
    ['an array', 'malformed_problem', encodeCbor([])],
    ['a title that is no text', 'malformed_problem', encodeCbor(new Map<number, CborValue>([[-1, 1]]))],
    ['a part of ours that is text', 'malformed_problem', encodeCbor(new Map([[OURS, '400']]))],
    ['a status that is text', 'malformed_problem', encodeCbor(new Map([[OURS, new Map([['status', '400']])]]))],
    ['JSON', 'malformed_cbor', utf8('{"title": "no"}')],
    ['70 000 bytes', 'too_large', new Uint8Array(70_000)],
  ]
  for (const [what, code, bytes] of refused) {
    it(`refuse ${what} (${code})`, () => assert.throws(() => decodeProblem(bytes), { code }))
  }
})
