// Dictionaries of RFC 9651: what is read, written, and refused.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  parseDictionary,
  serializeDictionary,
  Token,
} from '../../../provenance/proof-of-possession/structured-field.ts'

describe('a structured dictionary', () => {
  it('is read into what it says', () => {
    const dictionary = parseDictionary('a=1, b=("x";req "y");created=-5;t=to/ken, c, d=:AQI=:;q="\\"\\\\", e=?0')
    assert.deepEqual(
      dictionary,
      new Map<string, unknown>([
        ['a', { value: 1, parameters: new Map() }],
        [
          'b',
          {
            items: [
              { value: 'x', parameters: new Map([['req', true]]) },
              { value: 'y', parameters: new Map() },
            ],
            parameters: new Map<string, unknown>([
              ['created', -5],
              ['t', new Token('to/ken')],
            ]),
          },
        ],
        ['c', { value: true, parameters: new Map() }],
        ['d', { value: Uint8Array.of(1, 2), parameters: new Map([['q', '"\\']]) }],
        ['e', { value: false, parameters: new Map() }],
      ]),
    )
  })

  it('has one text, whatever the white space and the zeros were', () => {
    const texts = [
      ['a=1', 'a=1'],
      ['  a=( "x"   "y" ); p ,\t b=007', 'a=("x" "y");p, b=7'],
      ['a=?1;x=?1, b=()', 'a;x, b=()'],
      ['', ''],
    ] as const
    for (const [text, canonical] of texts) assert.equal(serializeDictionary(parseDictionary(text)), canonical)
  })

  const refused = [
    ...['a=1,', 'a=1,,b', ',a', 'a=', 'a=(', 'a=("x"', 'a=("x""y")', 'a=(("x"))', 'A=1', 'a =1', 'a= 1', 'a;=1', 'a b'],
    // Two readings: two of one name, numbers of two kinds, bytes in two texts.
    ...['a=1, a=2', 'a;x=1;x=2', 'a=1.0', 'a=1.', 'a=1e3', 'a=:AQ:', 'a=:AQJ=:', 'a=:AQ==', 'a=: AQ==:'],
    ...[
      'a=1234567890123456',
      'a=--1',
      'a=+1',
      'a=?2',
      'a="x',
      'a="\\x"',
      'a="é"',
      'a="\u007f"',
      'a=@1',
      'a=%"x"',
      'a=é',
    ],
  ]
  for (const text of refused) {
    it(`is not ${text}`, () => {
      assert.throws(() => parseDictionary(text), { code: 'malformed_structured_field' })
    })
  }

  it('is read in time that its length bounds', () => {
    const texts = [
      'a=(',
      '(',
      'a;'.repeat(8000),
      `a=(${'"x" '.repeat(4000)}`,
      `a="${'\\"'.repeat(8000)}`,
      'a,'.repeat(8000),
    ]
    for (const text of [...texts, ' '.repeat(16_384), `a=${'-'.repeat(16_000)}`, `a=:${'A'.repeat(16_000)}`]) {
      const began = process.cpuUsage()
      try {
        parseDictionary(text)
      } catch {
        // Refused or not: in time.
      }
      assert.ok(process.cpuUsage(began).user < 50_000)
    }
    assert.throws(() => parseDictionary('a'.repeat(16_385)), { code: 'malformed_structured_field' })
  })

  it('is not written with what has no text', () => {
    for (const value of [1.5, 1e15, Number.NaN, 'é', 'a\nb']) {
      const dictionary = new Map([['a', { value, parameters: new Map() }]])
      assert.throws(() => serializeDictionary(dictionary), { code: 'malformed_structured_field' })
    }
  })
})
