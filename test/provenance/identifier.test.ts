import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseTrustDomain, parseWorkloadIdentifier } from '../../provenance/identifier.ts'

describe('parseWorkloadIdentifier', () => {
  it('splits an identifier into scheme, trust domain and path', () => {
    assert.deepEqual(parseWorkloadIdentifier('spiffe://bank.example/payments/api-7_x.Y'), {
      uri: 'spiffe://bank.example/payments/api-7_x.Y',
      scheme: 'spiffe',
      trustDomain: 'bank.example',
      path: '/payments/api-7_x.Y',
    })
  })

  it('takes up to 2048 bytes', () => {
    const uri = `spiffe://bank.example/${'a'.repeat(2048 - 22)}`
    assert.equal(uri.length, 2048)
    assert.equal(parseWorkloadIdentifier(uri).uri, uri)
    assert.throws(() => parseWorkloadIdentifier(`${uri}a`), { code: 'malformed_identifier' })
  })

  it('takes the wider path characters of RFC 3986 under wimse only', () => {
    for (const path of ["/a,b;c=d:e@f!$&'()*+~", '/caf%C3%A9', '/a%20b']) {
      assert.equal(parseWorkloadIdentifier(`wimse://bank.example${path}`).path, path)
      assert.throws(() => parseWorkloadIdentifier(`spiffe://bank.example${path}`), { code: 'malformed_identifier' })
    }
  })

  const refused: [what: string, rest: string][] = [
    ['no path', 'bank.example'],
    ['the root path', 'bank.example/'],
    ['a trailing slash', 'bank.example/a/'],
    ['an empty segment', 'bank.example/a//b'],
    ['a parent segment', 'bank.example/a/../b'],
    ['a current segment', 'bank.example/./a'],
    ['no trust domain', '/a'],
    ['user info', 'user@bank.example/a'],
    ['user info with a password', 'user:pw@bank.example/a'],
    ['a port', 'bank.example:8443/a'],
    ['an empty port', 'bank.example:/a'],
    ['a query', 'bank.example/a?b=c'],
    ['an empty query', 'bank.example/a?'],
    ['a query without a path', 'bank.example?a'],
    ['a fragment', 'bank.example/a#b'],
    ['a backslash', 'bank.example\\a'],
    ['a backslash in the path', 'bank.example/a\\..\\b'],
    ['an upper-case trust domain', 'Bank.example/a'],
    ['a trust domain in another script', 'bänk.example/a'],
    ['a percent-encoded trust domain', 'bank%2Eexample/a'],
    ['an IPv6 literal', '[::1]/a'],
    ['a trust domain of punctuation', '../a'],
    ['a trust domain of 256 characters', `${'a'.repeat(256)}/a`],
    ['an encoded dot segment', 'bank.example/%2E%2E/a'],
    ['an encoded slash', 'bank.example/a%2Fb'],
    ['an encoded backslash', 'bank.example/a%5Cb'],
    ['an encoded NUL', 'bank.example/a%00'],
    ['an encoding of what stands for itself', 'bank.example/%61'],
    ['a lower-case percent encoding', 'bank.example/caf%c3%a9'],
    ['half a percent encoding', 'bank.example/a%2'],
    ['a second subject alternative name after a comma', 'bank.example/a,URI:spiffe://evil.example/b'],
    ['a line break', 'bank.example/a\n'],
    ['a line break inside', 'bank.example/a\nb'],
    ['white space', 'bank.example/a b'],
    ['a NUL', 'bank.example/a\0'],
    ['letters beyond ASCII', 'bank.example/é'],
  ]
  for (const [what, rest] of refused) {
    it(`refuses ${what}, under either scheme`, () => {
      for (const scheme of ['spiffe', 'wimse']) {
        assert.throws(() => parseWorkloadIdentifier(`${scheme}://${rest}`), { code: 'malformed_identifier' })
      }
    })
  }

  for (const text of [
    '',
    '/a',
    'SPIFFE://bank.example/a',
    'https://bank.example/a',
    'spiffe:/bank.example/a',
    ' spiffe://b/a',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseWorkloadIdentifier(text), { code: 'malformed_identifier' })
    })
  }

  it('keeps the text it accepted, and takes it apart without loss', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/)
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/),
        fc.array(segment, { minLength: 1 }),
        (domain, path) => {
          fc.pre(!path.some((part) => part === '.' || part === '..'))
          const id = parseWorkloadIdentifier(`spiffe://${domain}/${path.join('/')}`)
          assert.equal(`${id.scheme}://${id.trustDomain}${id.path}`, id.uri)
        },
      ),
    )
  })
})

describe('parseTrustDomain', () => {
  it('takes a name and refuses an identifier', () => {
    assert.equal(parseTrustDomain('bank.example'), 'bank.example')
    for (const text of ['spiffe://bank.example', 'bank.example/', '', '*.example', '-', '.']) {
      assert.throws(() => parseTrustDomain(text), { code: 'malformed_identifier' })
    }
  })
})
