import assert from 'node:assert/strict'
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { formatLogLine, publishIssuancePolicy, type Submission } from '../../../clients/issuer/index.ts'
import { loadFromDirectory } from '../../../clients/workload/index.ts'
import { utf8 } from '../../../merkle/index.ts'
import { decodeBundle, recordOfStatement } from '../../../provenance/index.ts'
import { jwkThumbprint, parseTransparentStatement, publicJwkOf } from '../../../statement/index.ts'
import { createWorld, example, issuer, SUBJECT, type World, workload } from '../issuer-world.ts'
import { newKey, scratch } from './deliveries.ts'
import { createServiceWorld, fromFiles, type ServiceWorld, until } from './service-world.ts'

const UID = 1001
const HOUR = 3600

let world: World
let live: ServiceWorld
before(async () => {
  world = await createWorld()
})
afterEach(async () => {
  await live.service.stop()
  noSecrets(live)
})
after(() => world.close())

const code = (expected: string) => (error: { code?: string }) => error.code === expected
const denials = () =>
  live.registered.filter(({ type }) => type === 'issuance-denied').map(({ fields }) => fields['reason'])

describe('a configured workload', () => {
  it('is delivered to its directory, and anew between half and two thirds of its life', async (t) => {
    const directory = join(scratch(t), 'payments')
    live = await createServiceWorld((made) => [{ configured: fromFiles(made), directory }], world)
    live.results = [await world.result()]
    assert.equal(live.service.notReady(), undefined, 'nothing was started yet')
    live.service.start()
    assert.equal(live.service.notReady(), 'not_issued')
    await live.heard('issued')
    assert.equal(live.service.notReady(), undefined)
    const first = await loadFromDirectory(directory, { now: world.clock.now, key: workload })
    assert.equal(first.trustBundle, '{"keys":[],"spiffe_sequence":1}')
    assert.equal(provenanceOf(first.bundle).delivery, 'file')

    const wait = live.next()!
    assert.ok(wait >= HOUR / 2 && wait <= (HOUR * 2) / 3, `${wait}`)
    await live.advance(wait - 1)
    assert.equal(live.lines.filter(({ event }) => event === 'issued').length, 1)
    live.results = [await world.result()]
    await live.advance(1)
    await live.heard('issued', 2)
    const second = await loadFromDirectory(directory, { now: world.clock.now, key: workload })
    assert.notEqual(second.text, first.text)
    assert.equal(readdirSync(directory).filter((name) => name.startsWith('v-')).length, 2)
  })

  it('keeps its credential while the log does not answer, ever more rarely asked, and ever louder', async (t) => {
    const directory = join(scratch(t), 'payments')
    live = await createServiceWorld((made) => [{ configured: fromFiles(made), directory, lifetime: 600 }], world)
    live.results = [await world.result()]
    live.service.start()
    const { notAfter = 0 } = await live.heard('issued')
    const { text } = await loadFromDirectory(directory, { now: world.clock.now })

    live.reachable = false
    await live.advance(live.next()!)
    const waits: number[] = []
    for (let failures = 1; world.clock.now < notAfter; failures++) {
      await live.heard('renewal_failed', failures)
      waits.push(live.next()!)
      await live.advance(live.next()!)
    }
    waits.forEach((wait, i) => {
      const longest = Math.min(300, 2 ** i)
      assert.ok(wait >= longest / 2 && wait <= longest, `${wait} s after ${i + 1} failures`)
    })
    assert.equal((await loadFromDirectory(directory, { now: notAfter - 1 })).text, text)
    assert.equal((await live.heard('near_expiry')).level, 'error')
    assert.equal((await live.heard('expired')).level, 'error')
    assert.equal(live.service.notReady(), 'not_issued')

    live.reachable = true
    live.results = [await world.result()]
    await live.advance(live.next()!)
    await live.heard('issued', 2)
    assert.equal(live.service.notReady(), undefined)
  })

  it('is not issued another credential when only the disk did not take it', async (t) => {
    const parent = scratch(t)
    live = await createServiceWorld((made) => [{ configured: fromFiles(made), directory: join(parent, 'd') }], world)
    live.results = [await world.result()]
    chmodSync(parent, 0o777)
    live.service.start()
    await live.heard('renewal_refused')
    chmodSync(parent, 0o700)
    await live.advance(live.next()!)
    await live.heard('issued')
    assert.equal(live.registered.filter(({ type }) => type === 'credential-provenance').length, 1)
  })

  it('hears a policy’s no, which is on the log, and is asked about again', async (t) => {
    live = await createServiceWorld((made) => [{ configured: fromFiles(made), uids: [UID], policyId: 'closed' }], world)
    const policy = { ...world.as(issuer), id: 'closed', content: utf8('forbid(principal, action, resource);') }
    await publishIssuancePolicy(policy)
    live.results = [await world.result()]
    live.service.start()
    const { code: refusal, retryIn = 0 } = await live.heard('renewal_refused')
    assert.equal(refusal, 'issuance_denied')
    assert.deepEqual(denials(), ['policy_denied'])
    assert.ok(retryIn >= 16, 'each refusal is a record')
    await assert.rejects(
      (async () => (await live.service.find(UID, {})).holding.issued ?? Promise.reject(new Error('none')))(),
      /none/,
    )

    world.clock.now++
    await publishIssuancePolicy({ ...policy, ...world.as(issuer), content: example('issuance-policy.cedar') })
    await live.advance(live.next()!)
    await live.heard('issued')
    t.diagnostic('a policy that permits again is enough')
  })
})

describe('a workload that submits', () => {
  const submission = async (change: Partial<Submission> = {}): Promise<Submission> => ({
    subject: SUBJECT,
    workloadKey: publicJwkOf(workload),
    results: [await world.result()],
    ...change,
  })

  it('gets a credential, the same for the same submission, and another when it is time', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    const asked = await submission()
    const held = await live.service.submit(UID, asked)
    const { issued } = held.holding
    assert.equal(provenanceOf(issued!.bundle).delivery, 'local-api')
    assert.equal((await live.service.submit(UID, asked)).holding.issued, issued)
    assert.equal(
      (await live.service.find(UID, { keyThumbprint: jwkThumbprint(asked.workloadKey) })).holding.issued,
      issued,
    )

    const again = await live.service.submit(UID, await submission({ delivery: 'env' }))
    assert.equal(provenanceOf(again.holding.issued!.bundle).delivery, 'env')
    assert.equal((await live.service.find(UID, {})).holding, again.holding, 'one credential for one key')
  })

  it('is renewed while its results hold, and then told to bring others, with no denial on the log', async () => {
    await publishIssuancePolicy({
      ...world.as(issuer),
      id: 'open',
      content: utf8('permit(principal, action, resource);'),
    })
    live = await createServiceWorld(() => [{ uids: [UID], policyId: 'open' }], world)
    const { holding } = await live.service.submit(UID, await submission())
    const digest = () => Buffer.from(holding.issued!.digest).toString('hex')
    const changed = holding.changed(digest(), 1e9)
    await live.advance(holding.renewAt - world.clock.now)
    await live.heard('issued', 2)
    await changed

    const ended = holding.changed(digest(), 1e9)
    await live.advance(holding.renewAt - world.clock.now)
    await live.heard('results_needed')
    await ended
    assert.equal(holding.exhausted, true)
    assert.deepEqual(
      live.service.states(UID).map(({ state }) => state),
      ['submit'],
    )
    assert.deepEqual(denials(), [])
  })

  it('is told to bring other results where these are refused at renewal, and not asked about again and again', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    const { holding } = await live.service.submit(UID, await submission())
    // The policy wants a result that is younger than what this one is by then.
    await live.advance(holding.renewAt - world.clock.now)
    await live.heard('results_needed')
    await live.advance(HOUR)
    assert.deepEqual(denials(), ['policy_denied'])
  })

  it('of an agent is recorded as such', async () => {
    live = await createServiceWorld(() => [{ uids: [UID], agent: true }], world)
    const { holding } = await live.service.submit(UID, await submission())
    assert.equal(provenanceOf(holding.issued!.bundle).delivery, 'agent')
  })

  it('gets nothing for another user, and that is on the log', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    await assert.rejects(live.service.submit(UID + 1, await submission()), code('peer_not_allowed'))
    await assert.rejects(live.service.find(0, {}), code('peer_not_allowed'))
    await assert.rejects(live.service.find(UID, { subject: `${SUBJECT}/other` }), code('peer_not_allowed'))
    assert.deepEqual(denials(), ['peer_not_allowed', 'peer_not_allowed', 'peer_not_allowed'])

    live.reachable = false
    await assert.rejects(live.service.find(7, {}), code('peer_not_allowed'))
    await live.heard('denial_not_logged')
  })

  it('is refused a result of another key, and a result of nobody, on the log', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    const results = [await world.result({ workload: newKey() })]
    await assert.rejects(live.service.submit(UID, await submission({ results })), code('key_not_attested'))
    await assert.rejects(live.service.submit(UID, await submission({ results: ['a.b.c'] })), code('malformed_result'))
    assert.deepEqual(denials(), ['key_not_attested', 'malformed_result'])
  })

  it('cannot keep a denial off the log by what it asks for', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    for (const subject of [`${'a'.repeat(2047)}\u{1f600}`, 'a\0b', '\ud83d', '']) {
      await assert.rejects(live.service.find(UID, { subject }), code('peer_not_allowed'))
    }
    assert.equal(denials().length, 4)
    // Quoted by the refusal of the result, which is cut in the middle of a character.
    for (const padding of ['', 'a']) {
      const alg = Buffer.from(`{"alg":"${padding}${'\u{1f600}'.repeat(3000)}"}`).toString('base64url')
      const results = [`${alg}.e30.AA`]
      await assert.rejects(live.service.submit(UID, await submission({ results })), code('malformed_result'))
    }
    assert.equal(denials().length, 6)
  })

  it('cannot flood the log: denials are bounded for each user, by time', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    const ask = () => live.service.find(4444, {}).catch((error: { code: string }) => error.code)
    const codes = await Promise.all(Array.from({ length: 50 }, ask))
    assert.equal(codes.filter((each) => each === 'peer_not_allowed').length, 10)
    assert.equal(codes.filter((each) => each === 'too_many_requests').length, 40)
    assert.equal(denials().length, 10)
    world.clock.now += 4
    assert.deepEqual(
      [await ask(), await ask(), await ask()],
      ['peer_not_allowed', 'peer_not_allowed', 'too_many_requests'],
    )
  })

  it('is not kept waiting by a service that ends, which waits for what is under way', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    let go = () => {}
    live.beforeRegistering = () => new Promise((resolve) => (go = resolve))
    const asked = live.service.submit(UID, await submission())
    await until(() => String(go) !== '() => {}', 'an issuance under way')
    const stopping = live.service.stop()
    await assert.rejects(live.service.submit(UID, await submission()), code('shutting_down'))
    live.beforeRegistering = async () => {}
    go()
    assert.ok((await asked).holding.issued)
    await stopping
  })
})

describe('log lines', () => {
  it('lose tokens, keys and PEM, however they got into a message', async () => {
    live = await createServiceWorld(() => [{ uids: [UID] }], world)
    const token = await world.result()
    const secrets = [
      token,
      token.split('.')[2]!,
      JSON.stringify(workload),
      '-----BEGIN PRIVATE KEY-----\nMIGH\n-----END',
    ]
    for (const secret of secrets) {
      const line = formatLogLine({ level: 'warn', event: 'denied', message: `could not read ${secret}!` }, 0)
      for (const part of [token, token.slice(0, 40), workload.d, 'MIGH', token.split('.')[2]!]) {
        assert.equal(line.includes(part), false, line)
      }
    }
    const long = formatLogLine({ level: 'warn', event: 'denied', message: 'x '.repeat(1e5) }, 0)
    assert.ok(long.length < 700)
    assert.equal(
      formatLogLine({ level: 'info', event: 'issued', subject: SUBJECT, digest: 'a'.repeat(64) }, 1.76e9),
      `{"time":"2025-10-09T08:53:20Z","level":"info","event":"issued","subject":"${SUBJECT}","digest":"${'a'.repeat(64)}"}`,
    )
  })
})

function provenanceOf(bundle: Uint8Array) {
  const [first] = decodeBundle(bundle).statements
  const record = recordOfStatement(parseTransparentStatement(first!, { maxBytes: first!.length }).statement)
  assert.equal(record.type, 'credential-provenance')
  return record.fields
}

/** Of all that the service ever wrote. */
function noSecrets({ lines, world: { clock } }: ServiceWorld): void {
  const written = lines.map((line) => formatLogLine(line, clock.now)).join('\n') + JSON.stringify(lines)
  for (const secret of ['eyJ', 'BEGIN', issuer.d, workload.d]) assert.equal(written.includes(secret), false, written)
}
