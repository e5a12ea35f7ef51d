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

const example = (name: string) => readFileSync(`docs/examples/formats/${name}`).toString('base64')

const page = `
  import { fromBase64, fromUtf8 } from './merkle/index.ts'
  import { parseTrust, verifyCredential } from './provenance/index.ts'
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
  }`

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

    const other = JSON.parse(await verify({ ...input, credential: example('credential.pem') }))
    assert.equal(other.ok, false)
  })
})
