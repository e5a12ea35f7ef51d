/**
 * A service out of its configuration: reads the files, opens the log, listens, and goes down in order.
 *
 * @module
 */
import { resolve } from 'node:path'
import { EvidenceError, fromUtf8, UnavailableError } from '../../../merkle/index.ts'
import { decodePem, isJsonObject, parseJson } from '../../../provenance/index.ts'
import {
  type PrivateJwk,
  type PublicJwk,
  parsePrivateJwk,
  parsePublicJwk,
  publicJwkOf,
} from '../../../statement/index.ts'
import { readPrivateFile } from '../../delivery/index.ts'
import { type ClientTls, createProver, LogClient, memoryInFile, type Prover } from '../../log-client/index.ts'
import { issuingLog } from '../issuing-log.ts'
import { spiffeBundle } from '../spiffe-bundle.ts'
import type { ServiceConfig, WorkloadConfig } from './config.ts'
import { ServiceError } from './error.ts'
import type { Timer } from './holding.ts'
import { type LocalApi, type LocalApiOptions, serveLocally } from './local-api.ts'
import { formatLogLine, type ServiceLog } from './log-lines.ts'
import { kernelPeerUid } from './peer.ts'
import { IssuerService, type ServedWorkload } from './service.ts'

export interface RunOptions {
  /** As `parseServiceConfig` gives it. */
  readonly config: ServiceConfig
  /** Where relative paths start. */
  readonly directory: string
  /** @throws whatever it likes, when a file cannot be read */
  readonly readFile: (path: string) => Promise<Uint8Array>
  /** POSIX seconds. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly timer?: Timer
  /** Takes one line of JSON. */
  readonly write: (line: string) => void
  /** The kernel's, when not given. */
  readonly peerUid?: LocalApiOptions['peerUid']
}

export interface RunningIssuer {
  readonly service: IssuerService
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>
  /** Takes no more requests, lets issuances under way end, and resolves then. May be called again, to wait. */
  stop(): Promise<void>
}

const MAX_KEY_BYTES = 64 * 1024

const systemTimer: Timer = (milliseconds, then) => {
  const timer = setTimeout(then, milliseconds)
  return () => clearTimeout(timer)
}

/**
 * Starts. Resolves when the local API answers; configured workloads get their credentials as soon as the log does.
 *
 * @throws {@link ServiceError}, DeliveryError about the key, directories and socket; StatementError about keys; and what `readFile` throws
 */
export async function runIssuer(options: RunOptions): Promise<RunningIssuer> {
  const { config, directory, readFile, now, random, timer = systemTimer, write } = options
  const at = (path: string) => resolve(directory, path)
  const log: ServiceLog = (line) => write(formatLogLine(line, now()))
  const key = await readKey(at(config.key))
  const anchor = config.anchor === undefined ? undefined : pemOf(await readFile(at(config.anchor)), config.anchor)
  const recipients = await Promise.all(
    (config.recipients ?? []).map(async (path) => publicKeyOf(await readFile(at(path)))),
  )
  const common = { policyId: config.policy, recipients, ...(anchor && { anchor }) }
  const workloads = await Promise.all(
    config.workloads.map(async (workload) => served(workload, common, { at, readFile })),
  )

  const client = await openClient(options, at)
  const service = new IssuerService({
    // Shared: two workloads of one make would otherwise each log what it is made of, and one of them be refused.
    client: issuingLog({ client, clock: now }),
    key,
    workloads,
    trustBundle: await trustBundleOf(options, at, { key, anchor }),
    now,
    random,
    timer,
    log,
  })
  let failApi: (error: unknown) => void = () => {}
  const apiFailed = new Promise<never>((_, reject) => {
    failApi = reject
  })
  apiFailed.catch(() => {})
  const api = config.socket === undefined ? undefined : await listen(options, at(config.socket), service, failApi)
  log({ level: 'info', event: 'listening', ...(config.socket !== undefined && { path: at(config.socket) }) })
  service.start()

  let stopped: Promise<void> | undefined
  async function stop(api: LocalApi | undefined): Promise<void> {
    log({ level: 'info', event: 'stopping' })
    // First what waits: its answers are what the API then waits for.
    await Promise.all([service.stop(), api?.close()])
    client.close()
    log({ level: 'info', event: 'stopped' })
  }
  const failed = Promise.race([service.failed, apiFailed])
  failed.catch(() => {})
  return { service, failed, stop: () => (stopped ??= stop(api)) }
}

async function listen(
  { peerUid }: RunOptions,
  path: string,
  service: IssuerService,
  onFatal: (error: unknown) => void,
): Promise<LocalApi> {
  return serveLocally({ path, service, peerUid: peerUid ?? (await kernelPeerUid()), onFatal })
}

type At = (path: string) => string

async function openClient({ config: { log }, readFile, now, random, sleep }: RunOptions, at: At): Promise<LogClient> {
  const origins = new Set(log.vkeys.map((vkey) => vkey.slice(0, Math.max(0, vkey.indexOf('+')))))
  const [origin = ''] = origins
  if (origins.size !== 1 || origin === '') throw new ServiceError('malformed_config', '/log/vkeys: keys of one log')
  return new LogClient({
    url: log.url,
    pinned: { origin, vkey: log.vkeys },
    tls: await tlsOf(log, readFile, at),
    ...(log.wit && { prover: proverOf(log.wit, { readFile, now, random }, at) }),
    ...(log.checkpoint !== undefined && { remembered: memoryInFile(at(log.checkpoint)) }),
    clock: now,
    sleep,
  })
}

/** The token is read again while it is renewed. */
function proverOf(
  { credential, key, proof = 'wpt', audience }: NonNullable<RunOptions['config']['log']['wit']>,
  { readFile, now, random }: Pick<RunOptions, 'readFile' | 'now' | 'random'>,
  at: At,
): Prover {
  const load = async () => ({
    wit: fromUtf8(await readFile(at(credential))).trimEnd(),
    key: await readKey(at(key)),
  })
  return createProver({ load, by: proof, now, random, ...(audience !== undefined && { audience }) })
}

/** Certificates and bundles are read again while they are renewed. */
async function tlsOf(
  { ca, certificate, server }: RunOptions['config']['log'],
  readFile: RunOptions['readFile'],
  at: At,
): Promise<ClientTls> {
  const text = async (path: string) => fromUtf8(await readFile(at(path)))
  return {
    ...(ca !== undefined && { ca: await text(ca) }),
    ...(certificate && {
      certificate: async () => ({ cert: await text(certificate.cert), key: await text(certificate.key) }),
    }),
    ...(server && { server: { identifier: server.id, bundle: () => readFile(at(server.bundle)) } }),
  }
}

async function served(
  workload: WorkloadConfig,
  common: Pick<ServedWorkload, 'anchor' | 'policyId' | 'recipients'>,
  { at, readFile }: { at: At; readFile: RunOptions['readFile'] },
): Promise<ServedWorkload> {
  const { subject, kind = 'wit', policy, lifetime, uids = [], agent, verifiers, attributes } = workload
  const { workloadKey, results, directory, sbom, unattested } = workload
  return {
    ...common,
    subject,
    kind,
    uids,
    ...(policy !== undefined && { policyId: policy }),
    ...(lifetime !== undefined && { lifetime }),
    ...(agent !== undefined && { agent }),
    ...(verifiers && { verifiers }),
    ...(attributes && { attributes }),
    ...(unattested !== undefined && { unattested: { reasonCode: unattested } }),
    ...(directory !== undefined && { directory: at(directory) }),
    ...(sbom !== undefined && { sbom: () => again(at(sbom), readFile) }),
    ...(workloadKey !== undefined &&
      results && {
        configured: {
          workloadKey: publicKeyOf(await readFile(at(workloadKey))),
          results: () => Promise.all(results.map(async (path) => fromUtf8(await again(at(path), readFile)).trim())),
        },
      }),
  }
}

/** A file that is read for each credential may be missing just now: somebody is writing it. */
async function again(path: string, readFile: RunOptions['readFile']): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new UnavailableError(`cannot read ${path}`, { cause })
  }
}

async function trustBundleOf(
  { config, readFile }: RunOptions,
  at: At,
  { key, anchor }: { key: PrivateJwk; anchor: Uint8Array | undefined },
): Promise<string> {
  if (config.trustBundle === undefined) {
    return JSON.stringify(spiffeBundle({ anchors: anchor ? [anchor] : [], witKeys: [publicJwkOf(key)] }))
  }
  const text = fromUtf8(await readFile(at(config.trustBundle)))
  const bundle = parseJson(text)
  if (!isJsonObject(bundle) || !Array.isArray(bundle['keys'])) {
    throw new ServiceError('malformed_config', '/trustBundle: not a SPIFFE bundle')
  }
  return text
}

async function readKey(path: string): Promise<PrivateJwk> {
  return parsePrivateJwk(jsonOf(await readPrivateFile(path, MAX_KEY_BYTES), 'the key'))
}

function publicKeyOf(bytes: Uint8Array): PublicJwk {
  return parsePublicJwk(jsonOf(bytes, 'a public key'))
}

/** Without a cause: the parser's message quotes what it could not read. */
function jsonOf(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(fromUtf8(bytes))
  } catch {
    throw new ServiceError('malformed_config', `${what} is not JSON`)
  }
}

function pemOf(bytes: Uint8Array, path: string): Uint8Array {
  try {
    const [der, ...more] = decodePem(fromUtf8(bytes))
    if (der && more.length === 0) return der
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
  }
  throw new ServiceError('malformed_config', `${path} does not hold exactly one PEM certificate`)
}
