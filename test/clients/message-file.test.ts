// HTTP messages in files: what is read, and what servers disagree about.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRequestFile, parseResponseFile } from '../../clients/relying-party/index.ts'
import { utf8 } from '../../merkle/index.ts'

const request = (text: string) => parseRequestFile(utf8(text))

describe('an HTTP message in a file', () => {
  it('is read with either line end, and every field line as it stands', () => {
    const expected = {
      method: 'POST',
      target: '/a?b',
      fields: [
        ['Host', 'a.example'],
        ['X', ''],
        ['x', 'a: b '],
      ],
      content: utf8('one\r\n\r\ntwo\n'),
    }
    const text = 'POST /a?b HTTP/1.1\nHost: a.example\nX:\nx:\ta: b \n\none\r\n\r\ntwo\n'
    assert.deepEqual(request(text), expected)
    assert.deepEqual(request(text.replace(/\n(?=[\s\S]*one)/g, '\r\n')), expected)
  })

  it('may be a response, and without fields and content', () => {
    assert.deepEqual(parseResponseFile(utf8('HTTP/1.1 404 Not Found\r\n\r\n')), {
      status: 404,
      fields: [],
      content: new Uint8Array(),
    })
  })

  const refused = [
    ['nothing', ''],
    ['an empty first line', '\n\n'],
    ['no end of the header', 'GET / HTTP/1.1\nHost: a'],
    ['another version', 'GET / HTTP/2\n\n'],
    ['a target with a space', 'GET /a b HTTP/1.1\n\n'],
    ['a folded field', 'GET / HTTP/1.1\nA: b\n c\n\n'],
    ['a space before the colon', 'GET / HTTP/1.1\nA : b\n\n'],
    ['a lone CR', 'GET / HTTP/1.1\nA: b\rC: d\n\n'],
    ['chunks', 'POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\r\n\r\n'],
    ['another length', 'POST / HTTP/1.1\nContent-Length: 3\n\nab'],
    ['a header without end', `GET / HTTP/1.1\n${'A: b\n'.repeat(30_000)}\n`],
  ] as const
  for (const [what, text] of refused) {
    it(`is not ${what} (malformed_message)`, () => {
      assert.throws(() => request(text), { code: 'malformed_message' })
    })
  }
})
