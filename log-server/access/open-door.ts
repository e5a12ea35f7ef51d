/**
 * The doors of a log, made of its configuration: one for everybody, and one for admins where they have an address of their own.
 *
 * Both know callers in the same way, share the memory of proofs (or each proof would be good once at each), and write to one audit log.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { parseWorkloadIdentifier } from '../../provenance/identifier.ts'
import type { Audience } from '../../provenance/proof-of-possession/expectations.ts'
import { MemoryReplayCache } from '../../provenance/proof-of-possession/replay-cache.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import type { Clock } from '../types.ts'
import { AuditLog } from './audit-log.ts'
import { openSink } from './audit-sink.ts'
import { Rules } from './authorize.ts'
import { Callers } from './caller.ts'
import type { AccessConfig } from './config.ts'
import { type Door, GuardedDoor } from './door.ts'
import { Limits } from './limits.ts'
import { Peers, peerOfChain } from './peer.ts'
import type { TrustDomains } from './trust-domains.ts'

export interface Doors {
  readonly main: Door
  readonly admin?: Door
  /** Why nothing can be appended, when that is so. */
  notReady(): 'audit_unavailable' | undefined
  close(): Promise<void>
}

export interface DoorsOptions {
  readonly authorities: Pick<Authorities, 'authorizations' | 'encryptionKeysOf'>
  readonly trust: TrustDomains
  readonly now: Clock
  /** Told when audit lines cannot be written. */
  readonly report: (error: unknown) => void
}

/** @throws LogError `malformed_config` when there is nowhere to write audit lines to */
export async function openDoors(
  config: AccessConfig,
  { authorities, trust, now, report }: DoorsOptions,
): Promise<Doors> {
  const audit = new AuditLog(await openSink(config.audit), report)
  const rules = new Rules(config.rules, (identifier) => parseWorkloadIdentifier(identifier).trustDomain)
  const replay = new MemoryReplayCache()
  const callers = (required: boolean): Callers<Socket> => {
    const peers = new Peers({ trust, required, now })
    return new Callers({
      peerOf: (socket) => peers.of(socket),
      peerOfChain: (chain) => peerOfChain(chain, trust, now()),
      trustOf: (trustDomain) => trust.anchorsOf(trustDomain),
      audience: audienceOf(config.audience),
      replay,
      proxies: config.proxies,
      now,
    })
  }
  // Of a clock that nobody sets.
  const seconds = () => performance.now() / 1000
  const { limits: byCaller, trustDomains } = config
  const limits = new Limits({ limits: byCaller, now: seconds, trustDomains: trustDomains.size })
  const shared = { rules, authorities, audit, now, ...(byCaller.size > 0 && { limits }) }
  const main = new GuardedDoor({
    ...shared,
    callers: callers(config.clientCertificate === 'required'),
    adminElsewhere: config.admin !== undefined,
  })
  const admin =
    config.admin &&
    new GuardedDoor({
      ...shared,
      callers: callers(config.admin.tls),
      admin: config.admin.tls ? 'by-rules' : 'local',
    })
  return {
    main,
    ...(admin && { admin }),
    notReady: () => (audit.failing ? 'audit_unavailable' : undefined),
    close: () => audit.close(),
  }
}

/** An origin is good with the path of the request, and no other; what is none, whatever the path. */
function audienceOf(names: readonly string[]): Audience {
  const isOrigin = (name: string) => /^https?:\/\/[^/]+$/.test(name)
  return { origins: names.filter(isOrigin), aliases: names.filter((name) => !isOrigin(name)) }
}
