// Each way in which a certificate can be wrong, shown by a client to our server and by a server to our client, over real connections: refused
// with a code of its own, and as `openssl verify` says where that has a word for the rule.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createFetcher } from '../../clients/log-client/index.ts'
import type { RunningServer } from '../../log-server/main.ts'
import { utf8 } from '../../merkle/bytes.ts'
import { pem, SUBJECT } from '../certificates/authority.ts'
import {
  anchors,
  type Case,
  cases,
  directory,
  lists,
  MAX_LIFETIME,
  opensslRefusal,
  opensslVersion,
  pairOf,
  removeDirectory,
  SHOWS_ANYTHING,
  type Side,
  serveLog,
  write,
} from './world.ts'

after(removeDirectory)

const title = ({ what, code }: Case, verdict = code ? `is refused (${code})` : 'comes in') => `${what} ${verdict}`

describe(`openssl verify, of the same certificates`, { skip: !opensslVersion && 'there is no openssl here' }, () => {
  for (const side of ['client', 'server'] as const) {
    for (const each of cases) {
      const { code, beyondOpenssl } = each
      it(`of a ${side}: ${beyondOpenssl ? `differs about ${each.what}: ${beyondOpenssl}` : `agrees that ${title(each)}`}`, async () => {
        const theirs = opensslRefusal(await each.shown(side), side)
        const agree = (theirs === undefined) === (code === undefined)
        assert.equal(agree, beyondOpenssl === undefined, `OpenSSL says: ${theirs ?? 'OK'}`)
      })
    }
  }
})

describe('a client', () => {
  let server: RunningServer
  const audit = join(directory, 'audit.jsonl')
  before(async () => {
    const access = {
      clientCertificate: 'required',
      trustDomains: {
        'bank.example': {
          bundle: write('bank.pem', pem(...anchors.bank)),
          maxLifetime: MAX_LIFETIME,
          crls: lists.map((text, i) => write(`list-${i}.pem`, text)),
        },
        'partner.example': { bundle: write('partner.pem', pem(...anchors.partner)) },
      },
      rules: [{ who: [SUBJECT], may: ['read'] }],
      audit: { file: audit },
    }
    server = (await serveLog('matrix', { access, shown: await cases[0]!.shown('server') })).server
  })
  after(() => server?.close())

  /** One request on a connection of its own, by a client that judges nobody. */
  function ask(options: https.RequestOptions): Promise<{ status: number; code?: string; connection?: string }> {
    return new Promise((resolve, reject) => {
      const agent = new https.Agent({ keepAlive: true })
      const request = https.get(
        `${server.url}/checkpoint`,
        { agent, rejectUnauthorized: false, ...options },
        (answer) => {
          let text = ''
          answer.on('data', (chunk) => (text += String(chunk)))
          answer.on('end', () => {
            const { statusCode: status = 0, headers } = answer
            const { code } = status === 200 ? {} : JSON.parse(text)
            resolve({ status, code, ...(headers.connection && { connection: headers.connection }) })
            agent.destroy()
          })
        },
      )
      request.on('error', reject)
    })
  }

  for (const each of cases) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`with ${title(each)}, by ${maxVersion}`, async () => {
        const answer = await ask({ ...(await pairOf(await each.shown('client'))), ...SHOWS_ANYTHING, maxVersion })
        if (each.code === undefined)
          assert.deepEqual(answer, { status: 200, code: undefined, connection: 'keep-alive' })
        else {
          assert.ok(answer.status === 400 || answer.status === 403, `${answer.status}`)
          assert.deepEqual([answer.code, answer.connection], [each.code, 'close'])
        }
      })
    }
  }

  it('with no certificate is refused (credential_missing)', async () => {
    assert.equal((await ask({})).code, 'credential_missing')
  })

  it('is written down by who it is, and never by who it claimed to be where that did not hold', async () => {
    // All lines are written then.
    await server.close()
    const lines = readFileSync(audit, 'utf8').trimEnd().split('\n')
    const written = lines.map((line) => JSON.parse(line) as { who: string | null; by: string; code?: string })
    assert.ok(written.some(({ who, by, code }) => who === SUBJECT && by === 'mtls' && code === undefined))
    for (const { code } of cases.filter((each) => each.code !== undefined)) {
      const ofIt = written.filter((line) => line.code === code)
      assert.ok(ofIt.length >= 2, `lines of ${code}`)
      for (const { who, by } of ofIt) assert.deepEqual([who, by], [null, 'none'])
    }
  })
})

describe('a server', () => {
  const identifier = SUBJECT
  const bundle = async () => utf8(pem(...anchors.bank))
  const crls = async () => lists.map((text) => utf8(text))

  async function meet(each: Case, side: Side, maxVersion: 'TLSv1.2' | 'TLSv1.3') {
    let asked = 0
    const server = https.createServer(
      { ...(await pairOf(await each.shown(side))), ...SHOWS_ANYTHING, maxVersion },
      (_request, response) => {
        asked++
        response.end('ok')
      },
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const expected = { identifier, bundle, crls, maximumLifetime: MAX_LIFETIME }
    const fetcher = createFetcher({ url: `https://127.0.0.1:${port}`, tls: { server: expected } })
    try {
      const answered = await fetcher.fetch({ path: 'checkpoint', maxBytes: 100 }).then(
        ({ status }) => ({ status }),
        ({ code }: { code?: string }) => ({ code }),
      )
      return { answered, asked }
    } finally {
      fetcher.close()
      server.close()
    }
  }

  for (const each of cases) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`with ${title(each, each.code ? undefined : 'is asked')}, by ${maxVersion}`, async () => {
        const { answered, asked } = await meet(each, 'server', maxVersion)
        if (each.code === undefined) assert.deepEqual({ answered, asked }, { answered: { status: 200 }, asked: 1 })
        // It never saw a request.
        else assert.deepEqual({ answered, asked }, { answered: { code: each.code }, asked: 0 })
      })
    }
  }
})
