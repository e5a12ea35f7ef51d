/**
 * The monitor: what one look makes of another, what survives a crash, and the command over a real log and liars in front of it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { replay, seenRecords } from '../../clients/auditor/index.ts'
import {
  type Alert,
  type Channel,
  type FollowedLog,
  follow,
  followLog,
  NOTHING_KNOWN,
  parseWatch,
  type RoundOptions,
  type Sight,
} from '../../clients/monitor/index.ts'
import {
  createCosigner,
  createNoteSigner,
  hashLeaf,
  parseWitnessPolicy,
  signCheckpoint,
  UnavailableError,
  utf8,
} from '../../merkle/index.ts'
import { admin, FIELDS, ORIGIN as MADE_UP, stranger } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'
import { ISSUER, NOW, ORIGIN, policyOf, type ServedLog, serveLies, serveLog } from './served-log.ts'
import { TestCommand } from './test-io.ts'

const rules = { origin: 'log.example', now: 1000, stalledAfter: 60 }
const audited: Sight = { kind: 'audited', size: 5, findings: [], watched: [], watchedFor: [] }
const finding = (index: number, severity: 'error' | 'info' = 'error', check = 'time-backdated') => ({
  check,
  severity,
  index,
  entry: 'ab',
  detail: 'wrong\u001b[2J',
})
const kinds = (alerts: readonly Alert[]) => alerts.map(({ kind }) => kind)

describe('follow', () => {
  it('tells of a log that cannot be reached once it lasts, once, and again when it begins anew', () => {
    const down: Sight = { kind: 'unreachable', reason: 'no answer' }
    const first = follow(NOTHING_KNOWN, down, rules)
    assert.deepEqual(kinds(first.alerts), [])
    const later = follow(first.known, down, { ...rules, now: 1060 })
    assert.deepEqual(kinds(later.alerts), ['log-unreachable'])
    const still = follow(later.known, down, { ...rules, now: 5000 })
    assert.deepEqual(still.alerts, [])
    const up = follow(still.known, audited, { ...rules, now: 5001 })
    const again = follow(follow(up.known, down, { ...rules, now: 5002 }).known, down, { ...rules, now: 5062 })
    assert.deepEqual(kinds(again.alerts), ['log-unreachable'])
    assert.notEqual(again.alerts[0]?.id, later.alerts[0]?.id)
  })

  it('does not take a quiet log for a stalled one, but one that refuses statements', () => {
    const quiet = follow(follow(NOTHING_KNOWN, audited, rules).known, audited, { ...rules, now: 1_000_000 })
    assert.deepEqual(quiet.alerts, [])
    const refusing: Sight = { ...audited, notReady: 'disk_full' }
    const { known } = follow(quiet.known, refusing, { ...rules, now: 1_000_001 })
    assert.deepEqual(kinds(follow(known, refusing, { ...rules, now: 1_000_061 }).alerts), ['log-stalled'])
  })

  it('takes a quiet log for a stalled one where somebody is known to append, until it grows', () => {
    const beating = { ...rules, heartbeat: 300 }
    const first = follow(NOTHING_KNOWN, audited, beating)
    const quiet = follow(first.known, audited, { ...beating, now: 1299 })
    assert.deepEqual([first.alerts, quiet.alerts], [[], []])
    const late = follow(quiet.known, audited, { ...beating, now: 1300 })
    assert.deepEqual(
      late.alerts.map(({ kind, details }) => [kind, details['code']]),
      [['log-stalled', 'no_heartbeat']],
    )
    assert.deepEqual(follow(late.known, audited, { ...beating, now: 2000 }).alerts, [])
    const grown = follow(late.known, { ...audited, size: 6 }, { ...beating, now: 2001 })
    assert.deepEqual([grown.alerts, grown.known.troubles, grown.known.grownAt], [[], {}, 2001])
    assert.equal(follow(grown.known, { ...audited, size: 6 }, { ...beating, now: 2301 }).alerts.length, 1)
  })

  it('counts no heartbeat while the log is away, nor from before it was known when the log last grew', () => {
    const beating = { ...rules, heartbeat: 300 }
    const { grownAt: _grownAt, ...older } = follow(NOTHING_KNOWN, audited, rules).known
    assert.deepEqual(follow(older, audited, { ...beating, now: 9000 }).alerts, [])
    const away: Sight = { kind: 'unreachable', reason: 'no answer' }
    const { known, alerts } = follow(older, away, { ...beating, now: 9000, stalledAfter: 99_999 })
    assert.deepEqual([alerts, Object.keys(known.troubles)], [[], ['log-unreachable']])
  })

  it('tells findings once, by check, without the control characters that a record brought', () => {
    const sight = { ...audited, findings: [finding(1), finding(2), finding(3, 'info')] }
    const { alerts, known } = follow(NOTHING_KNOWN, sight, rules)
    assert.deepEqual(kinds(alerts), ['audit-finding'])
    assert.equal(alerts[0]?.details['count'], 2)
    assert.doesNotMatch(alerts[0]!.summary, /\p{Cc}/u)
    assert.doesNotMatch(JSON.stringify(alerts[0]!.details), /(?<!\\)\\u001b/)
    assert.deepEqual(follow(known, sight, rules).alerts, [])
    assert.equal(follow(known, { ...sight, findings: [...sight.findings, finding(4)] }, rules).alerts.length, 1)
  })

  it('names no more than a few of a million findings', () => {
    const findings = Array.from({ length: 20_000 }, (_, i) => finding(i))
    const { alerts } = follow(NOTHING_KNOWN, { ...audited, findings }, rules)
    assert.equal(alerts.length, 1)
    assert.ok(JSON.stringify(alerts).length < 10_000)
  })

  it('keeps a fork told while the log is away, and tells another one', () => {
    const fork = (before: string): Sight => ({
      kind: 'misbehaved',
      code: 'checkpoint_fork',
      reason: 'two roots',
      evidence: { before, after: 'x' },
    })
    const caught = follow(NOTHING_KNOWN, fork('a'), rules)
    assert.equal(caught.alerts[0]?.severity, 'critical')
    assert.equal(caught.evidence.get(caught.alerts[0]!.id)?.['before'], 'a')
    const away = follow(caught.known, { kind: 'unreachable', reason: 'no answer' }, rules)
    assert.deepEqual(follow(away.known, fork('a'), rules).alerts, [])
    assert.equal(follow(away.known, fork('b'), rules).alerts.length, 1)
  })
})

describe('a watch file', () => {
  const refused: [what: string, text: string][] = [
    ['nothing', ''],
    ['a list', '[]'],
    ['a member that is not known', '{"identifier":[]}'],
    ['a prototype’s name', '{"__proto__":[]}'],
    ['another prototype’s name', '{"constructor":["x"]}'],
    ['a value that is no text', '{"keys":[1]}'],
    ['an empty value', '{"keys":[""]}'],
    ['a misspelt identifier', '{"identifiers":["bank.example/payments"]}'],
    ['a value twice', '{"keys":["a","a"]}'],
    ['a member twice', '{"keys":[],"keys":["a"]}'],
    ['too many values', JSON.stringify({ keys: Array.from({ length: 1025 }, (_, i) => `k${i}`) })],
    ['a value that is too long', JSON.stringify({ keys: ['k'.repeat(2049)] })],
  ]
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseWatch(utf8(text)), { name: 'EvidenceError', code: 'malformed_watch' })
    })
  }

  it('refuses a large one unread', () => {
    assert.throws(() => parseWatch(new Uint8Array(2 ** 20 + 1)), { code: 'malformed_watch' })
  })
})

/** A channel of a test, which fails as it is told. */
function recorder(name = 'output') {
  const got: Alert[] = []
  const faults: (() => void)[] = []
  const channel: Channel = {
    name,
    send: async (alert) => {
      const [before, after] = [faults.shift(), faults.shift()]
      before?.()
      got.push(alert)
      after?.()
    },
  }
  return { channel, got, faults }
}

const crash = () => {
  throw new Error('the power went')
}
const options = (channels: Channel[], watch: RoundOptions['watch'] = []): RoundOptions => ({
  watch,
  channels,
  stalledAfter: 60,
  now: () => 1000,
})

/** A log with one record by somebody whom nobody authorized, and a monitor of it. */
async function faultyLog(
  t: TestContext,
): Promise<{ log: MadeUpLog; followed: FollowedLog; broken: { once?: () => void } }> {
  const log = new MadeUpLog()
  await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 100)
  await log.add({ type: 'issuance-policy', fields: FIELDS['issuance-policy'] }, stranger, 101)
  return { log, ...(await followMadeUp(t, log)) }
}

async function followMadeUp(t: TestContext, log: MadeUpLog) {
  const command = new TestCommand()
  t.after(() => command.remove())
  const directory = command.path('log')
  const broken: { once?: () => void } = {}
  const followed: FollowedLog = {
    origin: MADE_UP,
    directory,
    client: {
      checkpoint: () => log.checkpoint(),
      notReady: async () => {
        const { once } = broken
        delete broken.once
        once?.()
        return undefined
      },
    },
    audit: () => replay({ client: log, trust: TRUST, stateDir: directory, now: 1000 }),
    seen: (asked) => seenRecords(directory, asked),
  }
  return { followed, broken }
}

describe('an alert', () => {
  it('is told once when nothing breaks', async (t) => {
    const { followed } = await faultyLog(t)
    const { channel, got } = recorder()
    const first = await followLog(followed, options([channel]))
    assert.ok(first.alerts.length > 0)
    assert.deepEqual(got, first.alerts)
    assert.deepEqual((await followLog(followed, options([channel]))).alerts, [])
    assert.equal(got.length, first.alerts.length)
  })

  it('is told after a crash between the audit and remembering', async (t) => {
    const { followed, broken } = await faultyLog(t)
    const { channel, got } = recorder()
    broken.once = crash
    await assert.rejects(followLog(followed, options([channel])), /power/)
    assert.equal(got.length, 0)
    await followLog(followed, options([channel]))
    assert.ok(got.length > 0)
  })

  it('is told after a crash between remembering and delivery', async (t) => {
    const { followed } = await faultyLog(t)
    const { channel, got, faults } = recorder()
    faults.push(crash)
    await assert.rejects(followLog(followed, options([channel])), /power/)
    assert.equal(got.length, 0)
    await followLog(followed, options([channel]))
    assert.ok(got.length > 0)
  })

  it('is told again, as the same one, after a crash between delivery and remembering', async (t) => {
    const { followed } = await faultyLog(t)
    const { channel, got, faults } = recorder()
    faults.push(() => {}, crash)
    await assert.rejects(followLog(followed, options([channel])), /power/)
    await followLog(followed, options([channel]))
    assert.equal(got[1]?.id, got[0]?.id)
    assert.equal(new Set(got.map(({ id }) => id)).size, got.length - 1)
  })

  it('waits for the one channel that is away, and does not trouble the other again', async (t) => {
    const { followed } = await faultyLog(t)
    const [output, hook] = [recorder(), recorder('webhook')]
    const away = () => {
      throw new UnavailableError('away')
    }
    hook.faults.push(away)
    const first = await followLog(followed, options([output.channel, hook.channel]))
    assert.deepEqual(first.unavailable, ['away'])
    assert.equal(first.undelivered, first.alerts.length)
    const second = await followLog(followed, options([output.channel, hook.channel]))
    assert.equal(second.undelivered, 0)
    assert.deepEqual([output.got, hook.got], [first.alerts, first.alerts])
  })

  it('does not keep the monitor from looking: a receiver that is slow gets the rest in the next round, in order', async (t) => {
    const { followed } = await faultyLog(t)
    const watch = [
      { watched: 'issuer', value: MADE_UP },
      { watched: 'key', value: admin.kid },
    ] as const
    let now = 1000
    const slow: Alert[] = []
    const channel: Channel = {
      name: 'webhook',
      send: async (alert) => {
        slow.push(alert)
        now += 20
      },
    }
    const patient = { ...options([channel], watch), now: () => now }
    const first = await followLog(followed, patient)
    assert.equal(first.alerts.length, 3)
    assert.deepEqual([slow.length, first.undelivered, first.unavailable.length], [2, 1, 1])
    const second = await followLog(followed, patient)
    assert.deepEqual([second.undelivered, second.unavailable], [0, []])
    assert.deepEqual(slow, first.alerts)
  })

  it('is not forgotten because the state was damaged', async (t) => {
    const { followed } = await faultyLog(t)
    const { channel } = recorder()
    await followLog(followed, options([channel]))
    await writeFile(join(followed.directory, 'monitor.json'), '{"version":1')
    await assert.rejects(followLog(followed, options([channel])), { code: 'damaged_state' })
  })
})

describe('what is looked at', () => {
  it('may be an empty log', async (t) => {
    const { followed } = await followMadeUp(t, new MadeUpLog())
    const watch = [{ watched: 'policy', value: 'payments' }] as const
    const { sight, alerts } = await followLog(followed, options([], watch))
    assert.deepEqual([sight, alerts], ['audited', []])
  })

  it('is held to the witness policy, and audited all the same', async (t) => {
    const { followed } = await faultyLog(t)
    const witness = createCosigner('w1.example', new Uint8Array(32).fill(9), () => 1000)
    const witnessPolicy = parseWitnessPolicy(`witness w1 ${witness.vkey}\nquorum w1\n`)
    const { sight, alerts } = await followLog({ ...followed, witnessPolicy }, options([]))
    assert.equal(sight, 'audited')
    assert.ok(kinds(alerts).includes('cosignatures-missing'))
    assert.ok(kinds(alerts).includes('audit-finding'))
  })
})

/** The command, by the clock of the served log, with a trust file for it and for `others`. */
async function commandFor(
  t: TestContext,
  log: ServedLog,
  others: { origin: string; vkey: string; url: string }[] = [],
) {
  const command = new TestCommand()
  t.after(() => command.remove())
  command.skew = NOW - Math.floor(Date.now() / 1000)
  const trust = { trustDomains: {}, issuers: [], verifiers: [], minimumTier: 'affirming' }
  const logs = [{ origin: ORIGIN, vkey: log.vkey }, ...others]
  await writeFile(command.path('trust.json'), JSON.stringify({ ...trust, logs }))
  return command
}
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const ONCE = ['monitor', '--once', '--json', '--trust', '@trust.json', '--state', '@state'] as const

describe('provlog monitor', () => {
  it('says nothing of a log as it should be, then tells what is watched, once, with numbers', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    await writeFile(command.path('watch.json'), JSON.stringify({ policies: ['payments'], identifiers: [ISSUER] }))
    const words = [...ONCE, '--log', log.url, '--watch', '@watch.json', '--metrics', '@provlog.prom']
    const { err, ...nothing } = await command.run(...words)
    assert.deepEqual(nothing, { exit: 0, out: '' })
    assert.match(err, /^note: no --key given; identifiers and keys of workloads are sealed/)

    const issuer = await log.authorize('issuer')
    await log.client.registerRecord(policyOf('permit(principal, action, resource);'), issuer)
    const { exit, out } = await command.run(...words)
    assert.equal(exit, 1)
    const told = out.split('\n').map((line) => JSON.parse(line) as Alert)
    assert.deepEqual(
      told.map(({ kind, details }) => [kind, details['watched'], details['first']]),
      [
        ['watched-seen', 'policy', 2],
        ['watched-seen', 'identifier', 1],
      ],
    )
    assert.equal((await command.run(...words)).exit, 0)
    const metrics = await readFile(command.path('provlog.prom'), 'utf8')
    assert.match(metrics, /^provlog_monitor_up\{log="log\.example\/test"\} 1$/m)
    assert.match(metrics, /^provlog_monitor_alerts_total\{log="log\.example\/test",kind="watched-seen"\} 2$/m)
  })

  it('catches a fork with evidence that proves it, and a rollback', async (t) => {
    const log = await serveLog(t)
    await log.authorize('issuer')
    const command = await commandFor(t, log)
    let size = 2
    const url = await serveLies(t, log.url, (path) =>
      path === 'checkpoint'
        ? { body: utf8(signCheckpoint({ origin: ORIGIN, size, root: hashLeaf(utf8('other')) }, [log.noteSigner])) }
        : undefined,
    )
    assert.equal((await command.run(...ONCE, '--log', log.url)).exit, 0)
    const { exit, out } = await command.run(...ONCE, '--log', url)
    assert.equal(exit, 5)
    const alert = JSON.parse(out) as Alert
    assert.deepEqual([alert.kind, alert.details['code']], ['log-misbehaved', 'checkpoint_fork'])
    const file = alert.details['evidence'] as string
    assert.equal((await command.run('verify-evidence', file, '--trust', '@trust.json')).exit, 0)
    // Told once; that it goes on is in the exit code.
    assert.deepEqual(
      [await command.run(...ONCE, '--log', url)].map(({ exit, out }) => [exit, out]),
      [[5, '']],
    )

    size = 1
    const rolled = await command.run(...ONCE, '--log', url)
    assert.equal(rolled.exit, 5)
    assert.equal((JSON.parse(rolled.out) as Alert).details['code'], 'checkpoint_rollback')
  })

  it('follows a log while another one is down, and says which', async (t) => {
    const log = await serveLog(t)
    const dead = { origin: 'dead.example', vkey: createNoteSigner('dead.example', new Uint8Array(32).fill(1)).vkey }
    const url = 'http://127.0.0.1:1'
    const command = await commandFor(t, log, [{ ...dead, url }])
    const trust = JSON.parse(await readFile(command.path('trust.json'), 'utf8'))
    trust.logs[0].url = log.url
    await writeFile(command.path('trust.json'), JSON.stringify(trust))
    const words = [...ONCE, '--log', url, '--log', log.url, '--stalled-after', '60', '--metrics', '@m.prom']
    const first = await command.run(...words)
    assert.equal(first.exit, 3)
    assert.match(first.err, /^dead\.example: /)
    assert.match(await readFile(command.path('m.prom'), 'utf8'), /up\{log="log\.example\/test"\} 1/)
    command.skew += 61
    const later = await command.run(...words)
    assert.equal(later.exit, 3)
    assert.equal((JSON.parse(later.out) as Alert).kind, 'log-unreachable')
  })

  it('catches a log that does not show what it signed: a report, which others cannot check', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    const url = await serveLies(t, log.url, (path) =>
      path.startsWith('v1/statements/') ? { status: 404, body: utf8('') } : undefined,
    )
    const { exit, out } = await command.run(...ONCE, '--log', url)
    const alert = JSON.parse(out) as Alert
    assert.deepEqual([exit, alert.details['code']], [5, 'not_served'])
    const judged = await command.run('verify-evidence', alert.details['evidence'] as string, '--trust', '@trust.json')
    assert.deepEqual([judged.exit, /not proven/.test(judged.out)], [1, true])
  })

  it('sees a watched key that signs, and one that is authorized, by its thumbprint', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    const { key } = await log.authorize('issuer')
    await writeFile(command.path('watch.json'), JSON.stringify({ keys: [log.admin.key.kid, key.kid] }))
    const { exit, out } = await command.run(...ONCE, '--log', log.url, '--watch', '@watch.json')
    assert.equal(exit, 1)
    const seen = out.split('\n').map((line) => (JSON.parse(line) as Alert).details)
    assert.deepEqual(
      seen.map(({ value, count, first }) => [value, count, first]),
      [
        [log.admin.key.kid, 2, 0],
        [key.kid, 1, 1],
      ],
    )
  })

  it('tells, and exits with, what a run before remembered and did not come to tell', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    await writeFile(command.path('watch.json'), JSON.stringify({ issuers: [ORIGIN] }))
    const words = [...ONCE, '--log', log.url, '--watch', '@watch.json']
    const { out } = await command.run(...words)
    // As it is on disk after a crash before the first line.
    const [directory] = await readdir(command.path('state'))
    const path = command.path(`state/${directory}/monitor.json`)
    const state = JSON.parse(await readFile(path, 'utf8'))
    state.pending = [{ alert: JSON.parse(out), channels: ['output'] }]
    await writeFile(path, JSON.stringify(state))
    assert.deepEqual(await command.run(...words), { exit: 1, out, err: '' })
    assert.equal((await command.run(...words)).exit, 0)
  })

  it('refuses one log twice, and a URL that the trust file leaves open', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    assert.equal((await command.run(...ONCE, '--log', log.url, '--log', log.url)).exit, 2)
    const other = createNoteSigner('other.example', new Uint8Array(32).fill(1)).vkey
    const two = await commandFor(t, log, [{ origin: 'other.example', vkey: other, url: 'https://other.example' }])
    assert.equal((await two.run(...ONCE, '--log', log.url)).exit, 2)
  })

  it('does not believe a checkpoint by another key', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    const stranger = createNoteSigner(ORIGIN, new Uint8Array(32).fill(3))
    const url = await serveLies(t, log.url, (path) =>
      path === 'checkpoint'
        ? { body: utf8(signCheckpoint({ origin: ORIGIN, size: 1, root: hashLeaf(utf8('x')) }, [stranger])) }
        : undefined,
    )
    const { exit, out } = await command.run(...ONCE, '--log', url)
    assert.deepEqual([exit, (JSON.parse(out) as Alert).details['code']], [1, 'unknown_signer'])
  })

  it('gives its numbers to Prometheus while it runs, the same as to the file', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    await writeFile(command.path('watch.json'), JSON.stringify({ issuers: [ORIGIN] }))
    const port = await freePort()
    const words = ['--log', log.url, '--watch', '@watch.json', '--metrics', '@m.prom', '--metrics-listen', String(port)]
    assert.equal((await command.run(...ONCE, ...words)).exit, 2)
    const monitor = await command.start(...ONCE.filter((word) => !/^--(once|json)$/.test(word)), ...words)
    assert.equal(monitor.first['kind'], 'watched-seen')
    let answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    while (answer.status === 503) answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    const text = await answer.text()
    assert.match(text, /^provlog_monitor_up\{log="log\.example\/test"\} 1$/m)
    assert.equal(await monitor.stop(), 0)
    assert.match(await readFile(command.path('m.prom'), 'utf8'), /^provlog_monitor_up\{log="log\.example\/test"\} 1$/m)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`))
  })

  it('runs until it is asked to stop', async (t) => {
    const log = await serveLog(t)
    const command = await commandFor(t, log)
    assert.equal((await command.run(...ONCE.filter((word) => word !== '--once'), '--log', log.url)).exit, 0)
  })
})
