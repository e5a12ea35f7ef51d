/**
 * What a server tells Prometheus when it has done some of everything: over TLS, with an address for admins, appended to and refused.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import https from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initLog } from '../../../log-server/init.ts'
import { startServer } from '../../../log-server/main.ts'
import { buildRecordStatement, encodePublicKey } from '../../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk } from '../../../statement/index.ts'
import { FIELDS, issuer, notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { writeCertificates } from '../certificates.ts'

/** What rules speak of and no healthy server answers with: it is counted as the rest is. */
const RARE = [
  ['provlog_refusals_total', 'code', ['internal', 'queue_full']],
  ['provlog_http_requests_total', 'status', ['5xx']],
] as const

/** The text of a scrape, with every family in it. */
export async function scrapedText(format = 'text/plain'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'provlog-scraped-'))
  const dataDir = join(dir, 'log')
  const { adminKey } = await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom('scraped') })
  const { ca, tls } = await writeCertificates(dir)
  const listen = { host: '127.0.0.1', port: 0 }
  const path = join(dataDir, 'config.json')
  const access = {
    trustDomains: {},
    rules: [{ who: ['anonymous'], may: ['admin', 'read'] }],
    admin: { listen },
    audit: { file: 'audit.jsonl' },
  }
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), server: { access } }))
  const server = await startServer({ dataDir, listen, tls, now: () => 200 })
  try {
    const key = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))
    const fields = { ...FIELDS['key-authorization'], key: encodePublicKey(issuer.publicJwk) }
    const author = { key, issuer: ORIGIN, now: 200, random: notRandom('of a scrape') }
    const { statement } = await buildRecordStatement({ type: 'key-authorization', fields }, author)
    const headers = { 'content-type': 'application/cose' }
    const body = Buffer.from(statement.bytes)
    assert.equal((await fetch(`${server.adminUrl}/entries`, { method: 'POST', headers, body })).status, 201)
    assert.equal((await fetch(`${server.adminUrl}/none`)).status, 404)
    // A handshake, and none.
    const agent = new https.Agent({ keepAlive: false })
    await new Promise((done, fail) => {
      https
        .get(`${server.url}/healthz`, { agent, ca: readFileSync(ca), servername: 'localhost' }, (answer) =>
          answer.resume().once('end', done),
        )
        .once('error', fail)
    })
    await new Promise((done) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.end('GET / HTTP/1.1\r\n\r\n'))
      socket
        .on('error', () => {})
        .on('close', done)
        .resume()
    })
    return await (await fetch(`${server.adminUrl}/metrics`, { headers: { accept: format } })).text()
  } finally {
    await server.close()
    await rm(dir, { recursive: true })
  }
}

/** By name of the sample, what each of its labels is seen to be. */
export async function scrapedSamples(): Promise<Map<string, Map<string, Set<string>>>> {
  const seen = new Map<string, Map<string, Set<string>>>()
  for (const line of (await scrapedText()).split('\n')) {
    const [, name, labels = ''] = /^([a-z0-9_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const known = seen.get(name) ?? new Map<string, Set<string>>()
    seen.set(name, known)
    for (const [, label, value] of labels.matchAll(/([a-z_]+)="([^"]*)"/g)) {
      known.set(label!, (known.get(label!) ?? new Set<string>()).add(value!))
    }
  }
  for (const [name, label, values] of RARE) for (const value of values) seen.get(name)!.get(label)!.add(value)
  return seen
}
