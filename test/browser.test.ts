/**
 * The pure folders as a browser gets them: bundled with the portable halves of the import conditions, and run where there is
 * no `process`, no `Buffer` and no Node module.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { signCompactJws } from '../provenance/jws.ts'
import { parsePrivateJwk, publicJwkOf } from '../statement/cose-key.ts'
import { newKeyPair } from './key-pairs.ts'

const example = (name: string) => readFileSync(`docs/examples/formats/${name}`).toString('base64')

const page = `
  import { fromBase64, fromUtf8 } from './merkle/index.ts'
  import { authenticateRequest, MemoryReplayCache, parseTrust, signHttpRequest, signWpt, verifyCredential } from './provenance/index.ts'
  import { parseSignedStatement } from './statement/index.ts'

  globalThis.verify = async ({ credential, bundle, trust, statement }) => {
    const { issuedAt } = parseSignedStatement(fromBase64(statement)).header
    const report = await verifyCredential({
      credential: fromBase64(credential),
      bundle: fromBase64(bundle),
      trust: parseTrust(fromUtf8(fromBase64(trust))),
      at: issuedAt,
    })
    return JSON.stringify(report)
  }

  globalThis.prove = async ({ wit, key, anchor, at }) => {
    const anchors = { trustDomain: 'bank.example', tokenKeys: new Map([['', anchor]]), certificates: [] }
    const content = new Uint8Array([1, 2, 3])
    const request = { method: 'POST', target: '/a', fields: [], content }
    const nonce = 'n'.repeat(22)
    const [audience, times] = ['https://rp.example/a', { created: at, expires: at + 60 }]
    const fields = await signHttpRequest(request, { wit, audience, nonce, ...times }, key)
    const wpt = await signWpt({ wit, audience, expiresAt: at + 60, jti: nonce }, key)
    const sent = { ...request, fields: [...fields, ['Workload-Proof-Token', wpt]] }
    const expected = { at, audience: { origins: ['https://rp.example'] }, replay: new MemoryReplayCache() }
    const trustDomains = new Map([['bank.example', anchors]])
    const { possession } = await authenticateRequest(sent, trustDomains, expected)
    const again = await authenticateRequest(sent, trustDomains, expected).catch(({ code }) => code)
    return JSON.stringify({ ways: possession.ways, again })
  }`

/** A WIT with its key, and the anchor that signed it. */
async function caller() {
  const [key, anchor] = ['ed25519', 'ed25519'].map((type) =>
    parsePrivateJwk(newKeyPair(type as 'ed25519').privateKey.export({ format: 'jwk' })),
  )
  const at = 1_800_000_000
  const jwk = { ...publicJwkOf(key!), alg: 'EdDSA' }
  const claims = { sub: 'wimse://bank.example/payments', exp: at + 60, cnf: { jwk } }
  const wit = await signCompactJws({ typ: 'wit+jwt' }, JSON.stringify(claims), anchor!)
  return { wit, key, anchor: publicJwkOf(anchor!), at }
}

describe('in a browser', () => {
  it('a credential verifies, and another with its bundle does not, with nothing of Node', async () => {
    const { outputFiles } = await build({
      stdin: { contents: page, resolveDir: '.', loader: 'ts' },
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      conditions: ['provlog-source', 'browser'],
      minify: true,
      logLevel: 'silent',
    })
    const code = outputFiles[0]?.text ?? ''
    assert.ok(!/require\("node:|from"node:/.test(code), 'a Node module is bundled')

    // A realm of its own: `Uint8Array` in there is another one, as in a page. What the web has, it is given.
    const context = createContext({
      atob,
      btoa,
      crypto,
      URL,
      hostEncode: (text: string) => new TextEncoder().encode(text),
      hostDecode: (bytes: Uint8Array, options: object) => new TextDecoder('utf-8', options).decode(bytes),
    })
    runInContext(
      `globalThis.TextEncoder = class { encode(text) { return new Uint8Array(hostEncode(text)) } }
       globalThis.TextDecoder = class { constructor(_, options) { this.options = options } decode(bytes) { return hostDecode(bytes, this.options) } }`,
      context,
    )
    runInContext(code, context)
    const verify = (input: object): Promise<string> => runInContext('verify', context)(input)
    const input = {
      credential: example('credential.jwt'),
      bundle: example('bundle.provlog'),
      trust: example('TRUST.json'),
      statement: example('statement.cose'),
    }
    const report = JSON.parse(await verify(input))
    assert.equal(report.ok, true, JSON.stringify(report.checks))

    const { wit, key, anchor, at } = await caller()
    const prove = (what: object): Promise<string> => runInContext('prove', context)(what)
    assert.deepEqual(JSON.parse(await prove({ wit, key, anchor, at })), {
      ways: ['wpt', 'httpsig'],
      again: 'proof_replayed',
    })

    const other = JSON.parse(await verify({ ...input, credential: example('credential.pem') }))
    assert.equal(other.ok, false)
  })
})
