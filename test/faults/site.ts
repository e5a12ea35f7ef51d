/**
 * Directories of logs, and what must be true of one after a fault.
 *
 * Every run begins from a copy of one log, whose server was killed with its write-ahead log full of what it had acknowledged, and from a copy
 * of its {@link Ledger}.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { cp, lstat, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importVerificationKey } from '#signature'
import { generateKey } from '../../clients/cli/key-files.ts'
import { fsckData, initLog } from '../../log-server/index.ts'
import { parseVkey } from '../../merkle/index.ts'
import { buildRecordStatement, encodePublicKey } from '../../provenance/index.ts'
import { importSigningKey, type PrivateJwk, parsePrivateJwk, publicJwkOf } from '../../statement/index.ts'
import type { Random } from '../fuzz/random.ts'
import { type Child, type ChildOptions, Children, type End } from './child.ts'
import { Client } from './client.ts'
import { Ledger } from './ledger.ts'
import type { Report } from './report.ts'
import type { Order } from './server-child.ts'
import { Violation } from './violation.ts'
import { Writer } from './writer.ts'

const ORIGIN = 'log.example/faults'
const ISSUER = 'spiffe://bank.example/issuer'
const BATCH = 250

export interface Site {
  readonly dataDir: string
  readonly ledger: Ledger
}

export interface Served {
  readonly child: Child
  readonly url: string
  readonly client: Client
}

export class Sites {
  readonly scratch: string
  readonly children: Children
  readonly report: Report
  /** Of one run; see {@link Sites.with}. */
  readonly random: Random
  readonly writer: Writer
  readonly #base: Site
  /** Names of directories, for all runs. */
  readonly #names: { next: number }

  private constructor(parts: {
    scratch: string
    children: Children
    report: Report
    random: Random
    writer: Writer
    base: Site
    names: { next: number }
  }) {
    ;({ scratch: this.scratch, children: this.children, report: this.report } = parts)
    ;({ random: this.random, writer: this.writer, base: this.#base, names: this.#names } = parts)
  }

  /** For a run whose choices are its own, whatever runs beside it. */
  with(random: Random): Sites {
    const { scratch, children, report, writer } = this
    return new Sites({ scratch, children, report, random, writer, base: this.#base, names: this.#names })
  }

  static async create(script: string, random: Random, report: Report): Promise<Sites> {
    const scratch = await mkdtemp(join(tmpdir(), 'provlog-faults-'))
    const children = new Children(script)
    const now = Math.floor(Date.now() / 1000)
    const dataDir = join(scratch, 'base')
    const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now: () => now, random: randomOf })
    const { x, y, kty, crv } = await jwkIn(join(dataDir, 'receipt.jwk'))
    const receiptKey = await importVerificationKey({ kty, crv, x, y } as never)
    const ledger = new Ledger({ origin: ORIGIN, verifier: parseVkey(vkey), receiptKey })

    const child = await children.take()
    children.prepare()
    const started = await child.serve(dataDir)
    if (!('url' in started)) throw new Error(`a new log is not served: ${child.complaint}`)
    const client = new Client(started.url, ledger)
    const writer = await authorizedWriter(client, adminKey, now)
    for (let i = 0; i < 12; i++) await client.register([await writer.statement()])
    // Past a tile, so that there is one that is full.
    await client.register(await writer.statements(BATCH))
    client.close()
    await child.kill()
    return new Sites({ scratch, children, report, random, writer, base: { dataDir, ledger }, names: { next: 0 } })
  }

  /** @param keep - there is something to look at */
  async close(keep: boolean): Promise<void> {
    await this.children.close()
    if (!keep) await rm(this.scratch, { recursive: true, force: true })
  }

  /** A copy of the log that all runs begin with. */
  async site(parent = this.scratch): Promise<Site> {
    return this.copyOf(this.#base, join(parent, `site-${this.#names.next++}`))
  }

  async copyOf(site: Site, dataDir: string): Promise<Site> {
    await mkdir(dataDir, { recursive: true })
    // But for the socket of a server that had no time to remove it.
    const filter = async (path: string) => !(await lstat(path)).isSocket()
    await cp(site.dataDir, dataDir, { recursive: true, force: true, filter })
    return { dataDir, ledger: site.ledger.clone() }
  }

  /** Removed only when nothing was found: what violates an invariant is kept to be looked at. */
  async discard({ dataDir, ledger }: Site): Promise<void> {
    this.report.acknowledged += ledger.acknowledged - this.#base.ledger.acknowledged
    await rm(dataDir, { recursive: true, force: true })
  }

  /** @throws {@link Violation} I10 when it is not served, for whatever reason */
  async serve(site: Site, options: { child?: ChildOptions; order?: Omit<Order, 'words'> } = {}): Promise<Served> {
    const child = await this.children.take(options.child)
    const started = await child.serve(site.dataDir, options.order)
    if (!('url' in started)) {
      throw new Violation('I10', `the log does not come up again: ${describeEnd(started, child)}`)
    }
    this.report.restarts++
    this.report.recoveries.push(started.milliseconds)
    this.children.prepare()
    return { child, url: started.url, client: new Client(started.url, site.ledger) }
  }

  /**
   * After a fault: a server comes up on what there is, has all that was acknowledged, takes what was in doubt once and no more, goes down, and
   * what it leaves is sound.
   *
   * @throws {@link Violation}
   */
  async check(site: Site): Promise<void> {
    const served = await this.serve(site)
    await this.checkServed(site, served)
    await this.stop(served)
    await this.fsck(site)
  }

  /** What {@link check} asks of a server that runs. */
  async checkServed(site: Site, { client }: Served): Promise<void> {
    await this.#compare(site, client)
    const { doubtful } = site.ledger
    for (let at = 0; at < doubtful.length; at += BATCH) {
      const outcome = await client.register(doubtful.slice(at, at + BATCH))
      if (outcome !== 'acknowledged') throw new Violation('I8', `a log at rest answers a repetition with ${outcome}`)
    }
    // And it goes on.
    const outcome = await client.register([await this.writer.statement()])
    if (outcome !== 'acknowledged') throw new Violation('I8', `a log at rest answers a registration with ${outcome}`)
    await client.look()
  }

  async stop({ child, client }: Served): Promise<void> {
    client.close()
    const end = await child.terminate()
    this.report.terminations++
    if (end.code !== 0) throw new Violation('I8', `asked to stop, the server ended ${describeEnd(end, child)}`)
  }

  async fsck({ dataDir }: Site): Promise<void> {
    const { findings } = await fsckData(dataDir)
    this.report.fscks++
    if (findings.length > 0) throw new Violation('I8', `fsck finds ${JSON.stringify(findings)}`)
  }

  async #compare({ ledger }: Site, client: Client): Promise<void> {
    this.report.receiptsVerifiedAgain += await ledger.compare(await client.whole())
    this.report.treesCompared += ledger.trees
  }
}

export function describeEnd({ code, signal }: End, child: Child): string {
  return `with ${signal ?? `code ${code}`}: ${child.complaint.trim() || 'and not a word'}`
}

/** An end that was its own decision: not 0, and one line that says why. @throws {@link Violation} I8 */
export function checkLoudEnd(end: End, child: Child): void {
  const lines = child.complaint.trim().split('\n')
  if (end.signal !== null || end.code === 0 || lines.length !== 1 || lines[0] === '') {
    throw new Violation(
      'I8',
      `the server should have ended by itself with one line, and ended ${describeEnd(end, child)}`,
    )
  }
}

async function authorizedWriter(client: Client, adminPath: string, now: number): Promise<Writer> {
  const admin = await importSigningKey(parsePrivateJwk(await jwkIn(adminPath)))
  const issuer = generateKey('ES256')
  const { statement } = await buildRecordStatement(
    {
      type: 'key-authorization',
      fields: {
        ...{ role: 'issuer', trustDomain: 'bank.example', subject: ISSUER, notBefore: now },
        key: encodePublicKey(publicJwkOf(issuer)),
      },
    },
    { key: admin, issuer: ORIGIN, now, random: randomOf },
  )
  if ((await client.register([statement.bytes])) !== 'acknowledged') throw new Error('nobody could be authorized')
  return new Writer({ key: await importSigningKey(issuer), issuer: ISSUER, now, random: randomOf })
}

async function jwkIn(path: string): Promise<PrivateJwk & { x: string; y: string }> {
  return JSON.parse(await readFile(path, 'utf8'))
}

/** Keys and nonces. What a run does is decided by its seed, and none of it by these. */
function randomOf(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
