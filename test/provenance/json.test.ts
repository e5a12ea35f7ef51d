import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, JsonNumber, parseJson } from '../../provenance/json.ts'

describe('parseJson', () => {
  it('reads what JSON.parse reads, wherever that has one meaning', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value)
        const withoutFloats = JSON.stringify(parseJson(text), (_, member) =>
          member instanceof JsonNumber ? Number(member.literal) : member,
        )
        assert.deepEqual(JSON.parse(withoutFloats), JSON.parse(text))
      }),
    )
  })

  it('keeps __proto__ as the member it is', () => {
    const value = parseJson('{"__proto__":{"admin":true}}') as Record<string, unknown>
    assert.equal(value['admin'], undefined)
    assert.deepEqual(Object.keys(value), ['__proto__'])
  })

  it('keeps a number as text unless it is written as a safe integer', () => {
    assert.equal(parseJson('1666529184'), 1666529184)
    for (const literal of ['1.666529184e+09', '1.0', '1e3', '-0', '9007199254740992', '1E400']) {
      assert.deepEqual(parseJson(literal), new JsonNumber(literal))
    }
  })

  it('reads a string of a megabyte', () => {
    assert.equal((parseJson(JSON.stringify('é'.repeat(1 << 20))) as string).length, 1 << 20)
  })

  const refused: [what: string, text: string][] = [
    ['nothing', ''],
    ['a second value', '1 2'],
    ['a duplicate member', '{"a":1,"a":2}'],
    ['a duplicate member spelt with an escape', '{"a":1,"\\u0061":2}'],
    ['a trailing comma', '[1,]'],
    ['a trailing comma in an object', '{"a":1,}'],
    ['a leading zero', '01'],
    ['a bare fraction', '.5'],
    ['NaN', 'NaN'],
    ['single quotes', "{'a':1}"],
    ['a comment', '{}//'],
    ['half of a surrogate pair', '"\\ud800"'],
    ['a raw control character', '"\u0001"'],
    ['an unknown escape', '"\\x41"'],
    ['a string without an end', '"abc'],
    ['a string that ends in its escape', '"abc\\"'],
    ['white space that is not JSON’s', '\u00a01'],
    ['a byte-order mark', '\ufeff{}'],
    ['too many levels', `${'['.repeat(34)}${']'.repeat(34)}`],
    ['very many levels', '['.repeat(1_000_000)],
  ]
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => parseJson(text), { code: 'malformed_json' }))
  }
})

describe('canonicalJson', () => {
  it('writes one text for one value, whatever the order of its members', () => {
    assert.equal(
      canonicalJson(parseJson(' { "b" : [1, "x"], "a" : { "d": null, "c": true } } ')),
      '{"a":{"c":true,"d":null},"b":[1,"x"]}',
    )
  })

  it('refuses numbers that are not safe integers', () => {
    assert.throws(() => canonicalJson(parseJson('[1.5]')), { code: 'malformed_json' })
  })
})
