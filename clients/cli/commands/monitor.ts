/** `monitor`: follows logs, and tells what is new and wrong. @module */
import { join } from 'node:path'

import { sha256, toHex, utf8 } from '../../../merkle/index.ts'
import type { Trust, TrustedLog } from '../../../provenance/index.ts'
import { replay, seenRecords } from '../../auditor/index.ts'
import { type LogClient, memoryInFile } from '../../log-client/index.ts'
import {
  type Alert,
  type Channel,
  type FollowedLog,
  followLog,
  listenForMetrics,
  type MetricsListener,
  metricsText,
  type Outcome,
  parseWatch,
  type RoundOptions,
  webhook,
} from '../../monitor/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { readDecryptionKey } from '../key-files.ts'
import { connectionFlags, openClient, readTrust } from '../log-access.ts'

export const monitor: Command = {
  name: 'monitor',
  summary: 'follow logs: replay what is new, and tell of forks, findings, missing cosignatures and what you watch',
  flags: {
    log: { value: 'URL', about: 'a log to follow; as often as there are logs', required: true, repeated: true },
    ...connectionFlags,
    trust: { value: 'TRUST.json', about: 'the logs and witnesses you trust', required: true },
    state: { value: 'DIR', about: 'what is known of each log, and alerts that are not delivered', required: true },
    once: { about: 'one round: exit 0 nothing new, 1 alerts, 3 a log or the webhook unavailable, 5 a log misbehaved' },
    interval: { value: 'SECONDS', about: 'from the end of one round to the next', default: '60' },
    key: { value: 'KEY.jwk', about: 'an auditor’s decryption key, to watch and check what is sealed' },
    watch: { value: 'FILE', about: 'JSON lists: identifiers, policies, issuers, keys; compared whole' },
    webhook: { value: 'URL', about: 'also post alerts as JSON: https, or this machine; again until one is taken' },
    metrics: { value: 'FILE', about: 'also write numbers for Prometheus (node_exporter’s textfile collector)' },
    'metrics-listen': {
      value: '[HOST:]PORT',
      about: 'also answer GET /metrics with them; to this machine alone, unless HOST says otherwise',
    },
    'stalled-after': {
      value: 'SECONDS',
      about: 'that a log may be unreachable, or refuse statements by its /readyz; being quiet is no fault',
      default: '3600',
    },
    heartbeat: {
      value: 'SECONDS',
      about: 'within which each log has a new entry, for somebody appends one that often: then being quiet is a fault',
    },
  },

  async run(args, io) {
    const trust = await readTrust(io, args.text('trust'))
    const watchFile = args.optional('watch')
    const address = args.optional('webhook')
    const heartbeat = args.count('heartbeat')
    const told: Alert[] = []
    const watch = watchFile === undefined ? [] : parseWatch(await io.readFile(watchFile))
    const sealed = watch.some(({ watched }) => watched === 'identifier' || watched === 'key')
    if (sealed && args.optional('key') === undefined) {
      io.err(
        'note: no --key given; identifiers and keys of workloads are sealed, and only those of whoever may write are seen',
      )
    }
    const options: RoundOptions = {
      watch,
      channels: [printed(told, args, io), ...(address === undefined ? [] : [webhook(address, { sleep: io.sleep })])],
      stalledAfter: args.count('stalled-after') ?? 0,
      ...(heartbeat !== undefined && { heartbeat }),
      now: io.now,
    }
    const seconds = args.count('interval') ?? 0
    const clients: LogClient[] = []
    const numbers = new Numbers(args, io)
    try {
      const logs = await followedLogs(trust, args, io, clients)
      if (args.has('once')) return exitOf(await round(logs, options, numbers, io), told)

      await numbers.listen()
      let stopped = false
      const stop = io.untilAskedToStop().then(() => {
        stopped = true
      })
      while (!stopped) {
        await round(logs, options, numbers, io)
        told.length = 0
        // A second at a time: a timer that is left over would keep the process.
        for (let waited = 0; waited < seconds && !stopped; waited++) await Promise.race([io.sleep(1000), stop])
      }
      return Exit.ok
    } finally {
      for (const client of clients) client.close()
      await numbers.close()
    }
  },
}

/** For Prometheus: the numbers of the last round, in a file and at an address. */
class Numbers {
  readonly #args: Arguments
  readonly #io: Io
  #text: string | undefined
  #listener: MetricsListener | undefined

  /** @throws {@link UsageError} */
  constructor(args: Arguments, io: Io) {
    if (args.has('once') && args.optional('metrics-listen') !== undefined) {
      throw new UsageError('--metrics-listen is for whoever stays: with --once give --metrics')
    }
    this.#args = args
    this.#io = io
  }

  async listen(): Promise<void> {
    const address = this.#args.optional('metrics-listen')
    if (address === undefined) return
    this.#listener = await listenForMetrics(address, () => this.#text)
    this.#io.err(this.#io.style('dim', `metrics: ${this.#listener.url}`))
  }

  async tell(outcomes: readonly Outcome[]): Promise<void> {
    this.#text = metricsText(outcomes, this.#io.now())
    const path = this.#args.optional('metrics')
    if (path !== undefined) await this.#io.writeFile(path, this.#text)
  }

  async close(): Promise<void> {
    await this.#listener?.close()
  }
}

/** Each log by itself: whatever becomes of one, the others are followed and the numbers written. */
async function round(
  logs: readonly FollowedLog[],
  options: RoundOptions,
  numbers: Numbers,
  io: Io,
): Promise<Outcome[]> {
  const settled = await Promise.allSettled(logs.map((log) => followLog(log, options)))
  const outcomes = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  await numbers.tell(outcomes)
  for (const { origin, unavailable } of outcomes) for (const reason of unavailable) io.err(`${origin}: ${reason}`)
  const failed = settled.find((each) => each.status === 'rejected')
  if (failed) throw failed.reason
  return outcomes
}

/**
 * The worst of all logs. What was found goes before what could not be: that is asked for again anyway. What was printed counts, and not what was
 * raised: a run that crashed in between had no exit code.
 */
function exitOf(outcomes: readonly Outcome[], told: readonly Alert[]): Exit {
  if (outcomes.some(({ sight }) => sight === 'misbehaved')) return Exit.misbehaved
  const found = told.some(({ kind }) => kind !== 'log-unreachable')
  if (found || outcomes.some(({ sight }) => sight === 'refused')) return Exit.refused
  return outcomes.some(({ unavailable }) => unavailable.length > 0) ? Exit.unavailable : Exit.ok
}

async function followedLogs(trust: Trust, args: Arguments, io: Io, clients: LogClient[]): Promise<FollowedLog[]> {
  const keyPath = args.optional('key')
  const key = keyPath === undefined ? {} : { key: await readDecryptionKey(io, keyPath) }
  const logs: FollowedLog[] = []
  for (const url of args.all('log')) {
    const { origin } = trustedAt(trust, url)
    if (logs.some((log) => log.origin === origin)) throw new UsageError(`--log: ${origin} is given twice`)
    // An origin may have slashes: its name on disk is a digest of it.
    const directory = join(args.text('state'), toHex(sha256(utf8(origin))).slice(0, 16))
    const vkeys = trust.logs.filter((log) => log.origin === origin).map(({ vkey }) => vkey)
    const client = await openClient(args, url, vkeys, io, memoryInFile(join(directory, 'checkpoint')))
    clients.push(client)
    logs.push({
      origin,
      directory,
      client,
      ...(trust.witnessPolicy && { witnessPolicy: trust.witnessPolicy }),
      audit: () => replay({ client, trust, stateDir: directory, now: io.now(), ...key }),
      seen: (asked) => seenRecords(directory, asked),
    })
  }
  return logs
}

/** The log of the trust file that is at `url`, or its only one. */
function trustedAt(trust: Trust, url: string): TrustedLog {
  const here = trust.logs.find((log) => log.url === url)
  if (here) return here
  const [only] = trust.logs
  if (only === undefined || trust.logs.some(({ origin }) => origin !== only.origin)) {
    throw new UsageError('--log: the trust file has no log at one of these URLs, and not just one log')
  }
  return only
}

function printed(told: Alert[], args: Arguments, io: Io): Channel {
  return {
    name: 'output',
    send: async (alert) => {
      told.push(alert)
      const { severity, kind, origin, summary } = alert
      const style = severity === 'info' ? 'dim' : 'red'
      io.out(
        args.has('json')
          ? JSON.stringify(alert)
          : `${io.style(style, severity.padEnd(8))} ${kind} ${origin}: ${summary}`,
      )
    },
  }
}
