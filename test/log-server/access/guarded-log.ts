/**
 * The log of `../served-log.ts` behind a door: with callers of two trust domains, a proxy, and audit lines that are kept.
 *
 * Who is at the other end of the connection is said by the test (`peer`), as the handshake would say it; proofs are real.
 *
 * @module
 */
import type { FastifyInstance } from 'fastify'
import type { Appended } from '../../../log-server/access/audit-line.ts'
import { AuditLog, type AuditSink } from '../../../log-server/access/audit-log.ts'
import { Rules } from '../../../log-server/access/authorize.ts'
import { type Caller, Callers, type TlsPeer } from '../../../log-server/access/caller.ts'
import type { RuleConfig } from '../../../log-server/access/config.ts'
import { GuardedDoor, type GuardedDoorOptions } from '../../../log-server/access/door.ts'
import type { Right } from '../../../log-server/access/rights.ts'
import { type AppOptions, buildApp } from '../../../log-server/app.ts'
import { verifyPeer } from '../../../provenance/certificates/peer-certificate.ts'
import { MemoryReplayCache, parseWorkloadIdentifier } from '../../../provenance/index.ts'
import { AT, ORIGIN, trustDomains } from '../../provenance/proof-of-possession/caller.ts'
import type { ServedLog } from '../served-log.ts'

export const PROXY = 'spiffe://bank.example/edge'
export const ENVOY = 'spiffe://bank.example/envoy'

/** A line as whoever reads the file finds it. */
export interface WrittenLine extends Omit<Caller, 'identifier'>, Appended {
  readonly type: string
  readonly at: number
  readonly request: string
  readonly who: string | null
  readonly operation: string | null
  readonly listener?: string
  readonly status: number
  readonly code?: string
  readonly lost?: number
}

export const readLines = (text: string): readonly WrittenLine[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WrittenLine)

/** A sink in memory, that can be told to fail. */
export class KeptLines implements AuditSink {
  text = ''
  failure: Error | undefined
  /** What each write waits for. */
  slow: Promise<void> | undefined
  writes = 0

  async write(text: string): Promise<void> {
    this.writes++
    await this.slow
    if (this.failure) throw this.failure
    this.text += text
  }

  async close(): Promise<void> {}

  get lines(): readonly WrittenLine[] {
    return readLines(this.text)
  }
}

export interface Guarded {
  readonly app: FastifyInstance
  readonly sink: KeptLines
  readonly audit: AuditLog
  readonly reports: readonly unknown[]
  /** Whose certificate the next connection shows; nobody's at first. An error is one that does not hold. */
  peer: string | Error | undefined
  /** The door's clock. */
  at: number
}

export const peerNamed = (identifier: string): TlsPeer => ({
  identifier,
  trustDomain: parseWorkloadIdentifier(identifier).trustDomain,
  chain: [new TextEncoder().encode(identifier)],
})

export const trusted = new Map(
  [...trustDomains].map(([name, anchors]) => [name, { ...anchors, scheme: 'spiffe' as const }]),
)

type Options = Pick<GuardedDoorOptions, 'admin' | 'adminElsewhere'> & Partial<AppOptions>

/** An application over the log of `world`, with these rules and no others. */
export function guard(
  world: Pick<ServedLog, 'log'>,
  rules: readonly Partial<RuleConfig>[],
  options: Options = {},
): Guarded {
  const { admin, adminElsewhere, ...appOptions } = options
  const sink = new KeptLines()
  const reports: unknown[] = []
  const audit = new AuditLog(sink, (error) => reports.push(error))
  const callers = new Callers({
    peerOf: async () => {
      if (guarded.peer instanceof Error) throw guarded.peer
      return guarded.peer === undefined ? undefined : peerNamed(guarded.peer)
    },
    peerOfChain: (chain) => verifyPeer(chain, 'client', (name) => trusted.get(name), AT),
    trustOf: (name) => trusted.get(name),
    audience: { origins: [ORIGIN] },
    replay: new MemoryReplayCache(),
    proxies: new Map([
      [PROXY, { header: 'client-cert', trustDomains: new Set() }],
      [ENVOY, { header: 'x-forwarded-client-cert', trustDomains: new Set(['bank.example']) }],
    ]),
    now: () => guarded.at,
  })
  const door = new GuardedDoor({
    callers,
    rules: new Rules(
      rules.map((rule) => ({ who: [], may: [], recipientKeys: [], ...rule })),
      (identifier) => parseWorkloadIdentifier(identifier).trustDomain,
    ),
    authorities: world.log.authorities,
    audit,
    now: () => guarded.at,
    ...(admin && { admin }),
    ...(adminElsewhere && { adminElsewhere }),
  })
  const app = buildApp({ log: world.log, now: () => 200, door, ...appOptions })
  const guarded: Guarded = { app, sink, audit, reports, peer: undefined, at: AT }
  return guarded
}

/** Until the lines of what was answered are written. */
export const written = () => new Promise(setImmediate)

/** A rule for one caller. */
export const may = (who: string, ...rights: readonly Right[]): Partial<RuleConfig> => ({ who: [who], may: rights })
