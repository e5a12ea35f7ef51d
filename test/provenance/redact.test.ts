import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { redact, redactError, redactSecrets, redactValue } from '../../provenance/index.ts'

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const parts = [
  base64url({ alg: 'ES256', typ: 'wit+jwt' }),
  base64url({ sub: 'spiffe://a/b', exp: 1 }),
  'sIgN'.repeat(22),
]
const token = parts.join('.')
/** What of the token must not be left, however it was written. */
const pieces = parts.map((part) => part.slice(4, 20))

function assertCut(text: string, secrets: readonly string[] = pieces): string {
  const left = redact(text)
  for (const secret of secrets) assert.ok(!left.includes(secret), left)
  assert.match(left, /\[redacted\]/)
  return left
}

describe('redact', () => {
  const written: Readonly<Record<string, string>> = {
    alone: token,
    'in a sentence': `Unexpected token "${token}" is not valid JSON`,
    'with padding': parts.map((part) => `${part}==`).join('.'),
    'over several lines': token.replace(/(.{64})/g, '$1\n'),
    'as an encrypted one of five parts': `${token}.${parts[2]}.${parts[2]}`,
    'without its header': `${parts[1]}.${parts[2]}`,
    'with what is invisible between its letters': token.replace(/(.{5})/g, '$1\u200b'),
    'in JSON in JSON': JSON.stringify(JSON.stringify({ token })),
    'behind a fake frame': `x\n    at ${token} (file.ts:1:2)`,
  }
  for (const [how, text] of Object.entries(written)) it(`cuts a token ${how}`, () => void assertCut(text))

  const fields = ['Authorization', 'Proxy-Authorization', 'Cookie', 'Signature', 'Signature-Input', 'DPoP', 'Txn-Token']
  for (const name of [...fields, 'Workload-Identity-Token', 'Workload-Proof-Token']) {
    it(`cuts the value of ${name}, and says which field it was`, () => {
      for (const value of ['opaque-secret', 'Bearer opaque-secret', 'sig1=:opaque-secret:']) {
        const quoted = [
          `${name}: ${value}`,
          JSON.stringify({ [name.toLowerCase()]: value }),
          JSON.stringify([name, value]),
        ]
        for (const text of quoted)
          assert.ok(assertCut(text, ['opaque-secret']).toLowerCase().includes(name.toLowerCase()))
      }
    })
  }

  it('cuts keys: PEM, private members of a JWK, those of age and of signed notes', () => {
    const secret = 'kEyKeYkEyKeY'
    for (const text of [
      `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`,
      `-----BEGIN EC PRIVATE KEY-----\n${secret}`,
      ...['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'priv', 'cek', 'password'].flatMap((name) => [
        `{"kty":"RSA","${name}":"${secret}"}`,
        `{ '${name}' : '${secret}' }`,
        JSON.stringify(JSON.stringify({ [name]: secret })),
      ]),
      `AGE-SECRET-KEY-1${secret}`,
      `PRIVATE+KEY+log.example+01234567+${secret}`,
      `key ${secret.repeat(6)}`,
    ]) {
      assertCut(text, [secret])
    }
  })

  it('leaves what a log is read for: digests, key names, identifiers, paths, verifier keys', () => {
    for (const text of [
      `entry ${'0a'.repeat(32)} by ${'aB-_'.repeat(10)}abc`,
      'spiffe://bank.example/payments is no key of log.bank.example/2026',
      '/home/somebody/projects/provlog/node_modules/fastify/lib/a_long_name: no such file',
      `log.bank.example/2026+1a2b3c4d+${'Ab+/'.repeat(11)}`,
      'bad signature: not by this key',
      'Basic constraints are missing',
    ]) {
      assert.equal(redact(text), text)
    }
  })

  it('lets nothing forge a second line, move the cursor or turn text around', () => {
    assert.equal(
      redact('a\r\n{"level":50}\u001b[2K\u2028b\u0085\u0000\ud800'),
      'a\\u000d\\n{"level":50}\\u001b[2K\\u2028b\\u0085\\u0000\\ud800',
    )
    assert.equal(redact('user\u202egpj.exe\u2066'), 'usergpj.exe')
    assert.equal(redactSecrets(`usage:\n  ${token}`), 'usage:\n  [redacted]')
  })

  it('keeps to its length, and cuts no character in two', () => {
    assert.equal(redact('x y '.repeat(1000)).length, 512)
    assert.equal(redact(`${'ab '.repeat(3)}😀`, 10), 'ab ab ab ')
  })

  it('takes time in proportion to the text', () => {
    const started = performance.now()
    for (const text of [
      'eyJ ',
      'eyJa\n',
      '-----BEGIN',
      'authorization: ',
      'authorization:"',
      'd:"',
      `${'a'.repeat(24)} `,
      ' ',
    ]) {
      redact(text.repeat(400_000 / text.length), 100_000)
    }
    assert.ok(performance.now() - started < 4000)
  })
})

describe('redactError', () => {
  it('says name, code, message, place and causes, and nothing that hangs on the error', () => {
    const cause = Object.assign(new SyntaxError(`at ${token}`), {
      code: 'ERR_X',
      rawPacket: Buffer.from(token),
      input: token,
    })
    const error = new Error(`reading "${token}"\n    at forged (${token}:1:1)`, { cause })
    const said = redactError(error)
    assert.deepEqual([said.type, said.cause?.type, said.cause?.code], ['Error', 'SyntaxError', 'ERR_X'])
    assert.match(said.at?.[0] ?? '', /redact\.test\.ts:\d+:\d+/)
    assert.ok(!said.at?.some((line) => line.includes('forged')))
    for (const piece of pieces) assert.ok(!JSON.stringify(said).includes(piece))
  })

  it('ends with causes in a circle, and with what is no error', () => {
    const error = new Error('a')
    error.cause = error
    assert.ok(JSON.stringify(redactError(error)).length < 20_000)
    assert.deepEqual(redactError(token), { type: 'string', message: '[redacted]' })
    const many = new AggregateError([new Error(token), new Error('b')], 'several')
    assert.deepEqual(
      redactError(many).errors?.map(({ message }) => message),
      ['[redacted]', 'b'],
    )
  })
})

describe('redactValue', () => {
  it('goes into plain data, by name and by shape, and into nothing else', () => {
    class Request {
      readonly headers = { authorization: token }
    }
    const said = redactValue({
      a: { b: [token, 7] },
      authorization: 'short',
      Signature: ['sig1=:x:'],
      d: 'short',
      request: new Request(),
      bytes: new Uint8Array(3),
      [token]: 1,
    })
    assert.deepEqual(said, {
      a: { b: ['[redacted]', 7] },
      authorization: '[redacted]',
      Signature: '[redacted]',
      d: '[redacted]',
      request: '[Request]',
      bytes: '3 bytes',
      '[redacted]': 1,
    })
    assert.deepEqual(redactValue({ a: { b: { c: 1 } } }, 2), { a: { b: '[redacted]' } })
    const circle: Record<string, unknown> = {}
    circle['itself'] = circle
    assert.ok(JSON.stringify(redactValue(circle)).length < 200)
  })
})
