import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it, type TestContext } from 'node:test'
import {
  kernelPeerUid,
  type LocalApi,
  type LocalApiOptions,
  publishIssuancePolicy,
  serveLocally,
} from '../../../clients/issuer/index.ts'
import { fetchCredential, fetchTrustBundle, loadFromDirectory, submitResults } from '../../../clients/workload/index.ts'
import { utf8 } from '../../../merkle/index.ts'
import { line } from '../../../scripts/line.ts'
import { jwkThumbprint, publicJwkOf } from '../../../statement/index.ts'
import { createWorld, issuer, SUBJECT, type World, workload } from '../issuer-world.ts'
import { TestCommand } from '../test-io.ts'
import { newKey, scratch } from './deliveries.ts'
import { createServiceWorld, type ServiceWorld, until } from './service-world.ts'

const root = process.geteuid?.() === 0
const OWN = process.geteuid?.() ?? -1
const STRANGER = 4321
const needsRoot = { skip: !root && 'only root can become somebody else' }

let world: World
let live: ServiceWorld
let api: LocalApi | undefined
const fatal: unknown[] = []
before(async () => {
  world = await createWorld()
})
afterEach(async () => {
  await Promise.all([live?.service.stop(), api?.close()])
  api = undefined
  assert.deepEqual(fatal.splice(0), [])
})
after(() => world.close())

/** An API that answers, in a directory that others may pass through. */
async function serve(t: TestContext, options: Partial<LocalApiOptions> = {}, policyId = 'workloads'): Promise<string> {
  const directory = scratch(t)
  chmodSync(directory, 0o711)
  const path = join(directory, 'issuer.sock')
  live = await createServiceWorld(() => [{ uids: [OWN], policyId, unattested: { reasonCode: 'no-attester' } }], world)
  const peerUid = await kernelPeerUid()
  api = await serveLocally({ path, service: live.service, peerUid, onFatal: (error) => fatal.push(error), ...options })
  return path
}

const expected = () => ({ now: world.clock.now, key: workload })
const submission = async () => ({
  subject: SUBJECT,
  workloadKey: publicJwkOf(workload),
  results: [await world.result()],
})
const header = { 'provlog-workload': 'true' }
const refusedBy = (reason: string) => (error: { reason?: string }) => error.reason === reason

describe('the local API', () => {
  it('gives the workload its credential with its bundle, and another when there is one', async (t) => {
    const socket = await serve(t)
    assert.equal(statSync(socket).mode & 0o777, 0o666)
    await assert.rejects(fetchCredential({ socket }, {}, expected()), refusedBy('not_issued'))
    const first = await submitResults({ socket }, await submission(), expected())
    assert.equal(first.credential.subject.uri, SUBJECT)
    const same = await fetchCredential({ socket }, { subject: SUBJECT }, expected())
    assert.equal(same?.text, first.text)
    assert.equal(await fetchCredential({ socket }, { known: first.etag }, expected()), undefined)
    assert.equal(await fetchTrustBundle({ socket }), live.service.trustBundle)

    const waiting = fetchCredential({ socket }, { known: first.etag, wait: 30 }, expected())
    const held = await live.service.find(OWN, {})
    await until(() => held.holding.waiting === 1, 'the long poll')
    await submitResults({ socket }, { ...(await submission()), delivery: 'env' }, expected())
    const second = await waiting
    assert.ok(second && second.text !== first.text)
  })

  it('answers a long poll in time where nothing happens, and forgets one whose client has gone', async (t) => {
    const socket = await serve(t)
    const { etag } = await submitResults({ socket }, await submission(), expected())
    const { holding } = await live.service.find(OWN, {})
    const waiting = fetchCredential({ socket }, { known: etag, wait: 10 }, expected())
    await until(() => holding.waiting === 1, 'the long poll')
    await live.advance(10)
    assert.equal(await waiting, undefined)

    const gone = request({
      socketPath: socket,
      path: '/v1/credential',
      headers: { ...header, 'if-none-match': etag, prefer: 'wait=60' },
    })
    gone.on('error', () => {})
    gone.end()
    await until(() => holding.waiting === 1, 'the long poll')
    gone.destroy()
    await until(() => holding.waiting === 0, 'its end')
  })

  it('tells who it is that asks, and whether it is ready', async (t) => {
    const socket = await serve(t)
    assert.equal((await get(socket, '/healthz')).status, 200)
    assert.equal((await get(socket, '/readyz')).status, 200)
    const { body } = await get(socket, '/v1/identities', header)
    assert.deepEqual(JSON.parse(body), { identities: [{ subject: SUBJECT, kind: 'wit', state: 'submit' }] })
    await live.service.stop()
    assert.deepEqual(JSON.parse((await get(socket, '/readyz')).body), { ok: false, reason: 'shutting_down' })
  })

  it('removes its socket when it ends, and lets what is under way end first', async (t) => {
    const socket = await serve(t)
    let go = () => {}
    let held = false
    live.beforeRegistering = () =>
      new Promise((resolve) => {
        held = true
        go = resolve
      })
    const asked = submitResults({ socket }, await submission(), expected())
    await until(() => held, 'an issuance under way')
    const closing = Promise.all([live.service.stop(), api!.close()])
    api = undefined
    live.beforeRegistering = async () => {}
    go()
    assert.ok((await asked).text)
    await closing
    assert.equal(existsSync(socket), false)
  })
})

describe('provlog workload fetch', () => {
  it('makes a key that never leaves, and delivers it with the credential for it', async (t) => {
    const content = utf8('permit(principal, action, resource);')
    await publishIssuancePolicy({ ...world.as(issuer), id: 'open', content })
    const socket = await serve(t, {}, 'open')
    const command = new TestCommand()
    t.after(() => command.remove())
    command.skew = world.clock.now - Math.floor(Date.now() / 1000)
    const ask = ['workload', 'fetch', '--socket', socket, '--subject', SUBJECT, '--out', '@own']
    const first = await command.json(...ask, '--new-key')
    const loaded = await loadFromDirectory(command.path('own'), { now: world.clock.now })
    assert.equal(loaded.key && jwkThumbprint(loaded.key), loaded.credential.keyThumbprint)
    assert.equal(first['renewal'], 'submit')

    assert.equal((await command.run(...ask, '--new-key', '--key', '@own/key.jwk')).exit, 2)
    assert.equal((await command.run(...ask, '--key', '@own/key.jwk', '--wait', '1')).exit, 0)
    const stranger = await command.run(
      ...line`workload fetch --socket ${socket} --subject spiffe://x.example/y --out @z`,
    )
    assert.deepEqual([stranger.exit, /peer_not_allowed/.test(stranger.err)], [1, true])
  })
})

describe('what the local API refuses', () => {
  it('another user, in the kernel’s word, and says so on the log', needsRoot, async (t) => {
    const socket = await serve(t)
    await submitResults({ socket }, await submission(), expected())
    const script = `
      const request = require('http').request({ socketPath: process.argv[1], path: '/v1/credential', headers: { 'provlog-workload': 'true' } })
      request.on('response', async (response) => { let text = ''; for await (const chunk of response) text += chunk; console.log(response.statusCode, text) })
      request.end()`
    const out = await runAs(STRANGER, ['-e', script, socket])
    assert.match(out, /^403 .*"code":"peer_not_allowed"/)
    assert.equal(out.includes('eyJ'), false)
    const denied = live.lines.find(({ event }) => event === 'denied')
    assert.equal(denied?.uid, STRANGER)
    assert.equal(live.registered.at(-1)?.type, 'issuance-denied')
  })

  const requests: [what: string, status: number, code: string, path: string, options?: Asked][] = [
    ['a program that was talked into fetching a URL', 403, 'missing_header', '/v1/credential', { headers: {} }],
    ['a path that it has not', 404, 'not_found', '/v1/credential/'],
    ['a path above', 404, 'not_found', '/../etc/passwd'],
    ['a method that the path has not', 405, 'method_not_allowed', '/v1/identities', { method: 'DELETE' }],
    ['a parameter twice', 400, 'malformed_request', '/v1/credential?subject=a&subject=b'],
    ['a parameter that it has not', 400, 'malformed_request', '/v1/credential?uid=0'],
    ['a prototype for a parameter', 400, 'malformed_request', '/v1/credential?__proto__=1'],
    ['somebody else’s identifier', 403, 'peer_not_allowed', '/v1/credential?subject=spiffe://bank.example/other'],
    ['a body of another type', 415, 'unsupported_media_type', '/v1/credential', { body: '{}', type: 'text/plain' }],
    ['an empty body', 400, 'malformed_request', '/v1/credential', { body: '' }],
    ['a body that is no object', 400, 'malformed_request', '/v1/credential', { body: '[]' }],
    ['a member twice', 400, 'malformed_request', '/v1/credential', { body: '{"subject":"a","subject":"b"}' }],
    ['deep nesting', 400, 'malformed_request', '/v1/credential', { body: '['.repeat(100_000) }],
    ['bytes that are not UTF-8', 400, 'malformed_request', '/v1/credential', { body: Buffer.from([0xff, 0xfe]) }],
    ['half a megabyte and more', 413, 'request_too_large', '/v1/credential', { body: 'x'.repeat(600_000) }],
    [
      'a private key where the public one belongs',
      400,
      'malformed_request',
      '/v1/credential',
      { body: JSON.stringify({ subject: SUBJECT, workloadKey: newKey(), results: [] }) },
    ],
    [
      'a member that it has not',
      400,
      'malformed_request',
      '/v1/credential',
      { body: JSON.stringify({ subject: SUBJECT, workloadKey: publicJwkOf(workload), results: [], kind: 'wic' }) },
    ],
    [
      'seventeen results',
      403,
      'too_many_results',
      '/v1/credential',
      {
        body: JSON.stringify({
          subject: SUBJECT,
          workloadKey: publicJwkOf(workload),
          results: Array.from({ length: 17 }, (_, i) => `a.b.${i}`),
        }),
      },
    ],
  ]
  it('requests that are not what it takes, each with its code', async (t) => {
    const socket = await serve(t)
    for (const [what, status, code, path, options] of requests) {
      const answer = await get(socket, path, header, options)
      const problem = JSON.parse(answer.body)
      assert.deepEqual([answer.status, problem.code, answer.type], [status, code, 'application/problem+json'], what)
      world.clock.now += 4
    }
  })

  it('too many connections of one user, and holds none that sends nothing', async (t) => {
    const socket = await serve(t, { limits: { connectionsPerUser: 8, headers: 100, interval: 20 } })
    const open = await Promise.all(Array.from({ length: 12 }, () => connected(socket)))
    await until(() => open.filter(({ destroyed }) => destroyed).length >= 4, 'four that are hung up on')
    // Those that are left say nothing, and a slow one says little: cut off at the end of the headers' time.
    open.find(({ destroyed }) => !destroyed)?.write('GET /healthz HTTP/1.1\r\nhost:')
    await until(() => open.every(({ destroyed }) => destroyed), 'the end of those that are slow')
    await until(() => live !== undefined, '')
    assert.equal((await get(socket, '/healthz')).status, 200)
  })

  it('a peer that the system says nothing about, and does not start when that is ourselves', async (t) => {
    await assert.rejects(serve(t, { peerUid: () => undefined }), { code: 'peer_check_unavailable' })
    await assert.rejects(serve(t, { peerUid: () => OWN + 1 }), { code: 'peer_check_unavailable' })
  })
})

describe('the path of the socket', () => {
  it('is taken over from a process that is no more, and from nobody who answers', async (t) => {
    const directory = scratch(t)
    const path = join(directory, 'issuer.sock')
    const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
    await new Promise((resolve) => spawn(process.execPath, ['-e', script, path]).once('exit', resolve))
    assert.ok(lstatSync(path).isSocket())
    live = await createServiceWorld(() => [{ uids: [OWN] }], world)
    const options = { path, service: live.service, peerUid: await kernelPeerUid(), onFatal: () => {} }
    api = await serveLocally(options)
    await assert.rejects(serveLocally(options), { code: 'socket_in_use' })
    assert.equal((await get(path, '/healthz')).status, 200)
  })

  it('is refused where something else is, or where others may change it', async (t) => {
    const directory = scratch(t)
    live = await createServiceWorld(() => [{ uids: [OWN] }], world)
    const peerUid = await kernelPeerUid()
    const at = (path: string) => serveLocally({ path, service: live.service, peerUid, onFatal: () => {} })
    const file = join(directory, 'file')
    writeFileSync(file, 'precious')
    await assert.rejects(at(file), { code: 'socket_path_taken' })
    symlinkSync(file, join(directory, 'link'))
    await assert.rejects(at(join(directory, 'link')), { code: 'socket_path_taken' })
    assert.equal(statSync(file).size, 8)
    await assert.rejects(at(join(directory, 'x'.repeat(200))), { code: 'malformed_delivery' })
    await assert.rejects(at(join(directory, 'none', 'issuer.sock')), { code: 'no_delivery' })
    mkdirSync(join(directory, 'open'))
    chmodSync(join(directory, 'open'), 0o777)
    await assert.rejects(at(join(directory, 'open', 'issuer.sock')), { code: 'not_private' })
  })

  it('is looked at by the workload before it speaks', needsRoot, async (t) => {
    const directory = scratch(t)
    const fetch = (socket: string) => fetchCredential({ socket }, {}, expected())
    await assert.rejects(fetch(join(directory, 'none')), { code: 'no_delivery' })
    // Somebody else's socket, in a directory where everybody may make one.
    chmodSync(directory, 0o1777)
    const path = join(directory, 'issuer.sock')
    const script = `require('net').createServer(() => {}).listen(process.argv[1], () => console.log('up'))`
    const other = spawn('setpriv', [`--reuid=${STRANGER}`, '--clear-groups', process.execPath, '-e', script, path])
    t.after(() => other.kill())
    await new Promise((resolve) => other.stdout.once('data', resolve))
    await assert.rejects(fetch(path), { code: 'wrong_owner' })
    symlinkSync(path, join(directory, 'link'))
    await assert.rejects(fetch(join(directory, 'link')), { code: 'wrong_file_type' })
  })

  it('leads to an answer that is not believed when it is none, or too long', async (t) => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe',
      'HTTP/1.1 500 x\r\ncontent-length: 2\r\n\r\n{}',
    ]
    for (const answer of answers) {
      const path = join(scratch(t), 'issuer.sock')
      const server = createServer((socket) => socket.end(Buffer.from(answer, 'latin1')))
      await new Promise<void>((resolve) => server.listen(path, () => resolve()))
      t.after(() => server.close())
      await assert.rejects(fetchCredential({ socket: path }, {}, expected()), { code: 'malformed_answer' })
    }
  })
})

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  readonly type?: string
}

/** A request without any of our client's care. */
function get(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
  { body, type = 'application/json', ...options }: Asked = {},
): Promise<{ status: number; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath,
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
      ...options,
    })
    asked.once('error', reject)
    asked.once('response', (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body: text }),
      )
    })
    asked.end(body)
  })
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path)
  socket.on('error', () => {})
  socket.resume()
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** What a program of another user prints. */
async function runAs(uid: number, args: readonly string[]): Promise<string> {
  const child = spawn('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', process.execPath, ...args])
  let out = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  await new Promise((resolve) => child.once('close', resolve))
  return out
}
