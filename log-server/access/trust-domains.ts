/**
 * The trust domains whose workloads may come in, each with anchors of its own, read again when their files change.
 *
 *     "trustDomains": { "bank.example": { "bundle": "trust/bank.json", "profile": "spiffe", "maxLifetime": 86400, "crls": ["trust/bank.crl"] } }
 *
 * Bundles of two domains are never merged (SPIFFE Federation §4.2): whoever asks says of which domain. Which one that is, the file's
 * place in the configuration says, since bundles do not name theirs.
 *
 * @module
 */
import { toBase64 } from '../../merkle/bytes.ts'
import type { PeerTrust } from '../../provenance/certificates/peer-certificate.ts'
import { parseRevocationLists, type RevocationList } from '../../provenance/certificates/revocation-list.ts'
import { parseTrustDomain } from '../../provenance/identifier.ts'
import { readTrustBundle } from '../../provenance/verification/trust-bundle.ts'
import { type FileNotice, type Report, WatchedFiles } from '../http/watched-files.ts'
import { LogError } from '../types.ts'

/** Where what is known of one trust domain lies. */
export interface TrustDomainFiles {
  /** A SPIFFE bundle, or PEM. */
  readonly bundle: string
  /** Of its identifiers: `spiffe://`, unless it says `wimse`. */
  readonly profile?: 'spiffe' | 'wimse'
  /** Seconds from the beginning of a credential to its end. */
  readonly maxLifetime?: number
  /** With any, each certificate below an anchor needs one of its issuer. */
  readonly crls?: readonly string[]
}

interface Domain {
  readonly profile: 'spiffe' | 'wimse'
  readonly maxLifetime: number | undefined
  readonly bundle: WatchedFiles<Awaited<ReturnType<typeof readTrustBundle>>>
  readonly crls: readonly WatchedFiles<readonly RevocationList[]>[]
}

export class TrustDomains {
  readonly #domains: ReadonlyMap<string, Domain>
  #trusts: ReadonlyMap<string, PeerTrust>
  #generation = 0
  #reloading: Promise<boolean> | undefined

  private constructor(domains: ReadonlyMap<string, Domain>) {
    this.#domains = domains
    this.#trusts = trustsOf(domains)
  }

  /** @throws {@link LogError} `malformed_config`, naming the file or the trust domain at fault */
  static async load(files: ReadonlyMap<string, TrustDomainFiles>, report: Report = () => {}): Promise<TrustDomains> {
    const domains = new Map<string, Domain>()
    for (const [name, domain] of files) {
      await atStart(`trust domain ${JSON.stringify(name)}`, () => parseTrustDomain(name))
      const { bundle, crls = [], profile = 'spiffe', maxLifetime } = domain
      domains.set(name, {
        profile,
        maxLifetime,
        bundle: await open(bundle, (file, before) => readNewerBundle(file, name, before), report),
        crls: await Promise.all(crls.map((path) => open(path, readNewerLists, report))),
      })
    }
    return new TrustDomains(domains)
  }

  /** What this trust domain vouches with, and what its peers are judged by; undefined for one that is not configured. */
  anchorsOf(trustDomain: string): PeerTrust | undefined {
    return this.#trusts.get(trustDomain)
  }

  /** Another number whenever a verdict that was made before may not be the one that would be made now. */
  get generation(): number {
    return this.#generation
  }

  /** Reads what changed; whether anything else is in force now. Does not throw: what does not hold is reported, and what was there stays. */
  reload(): Promise<boolean> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined
    })
    return this.#reloading
  }

  async #reload(): Promise<boolean> {
    const watched = [...this.#domains.values()].flatMap(({ bundle, crls }) => [bundle, ...crls])
    const changed = await Promise.all(watched.map((files) => files.refresh()))
    if (!changed.includes(true)) return false
    this.#trusts = trustsOf(this.#domains)
    this.#generation++
    return true
  }
}

function trustsOf(domains: ReadonlyMap<string, Domain>): ReadonlyMap<string, PeerTrust> {
  return new Map(
    [...domains].map(([name, { profile, maxLifetime, bundle, crls }]): [string, PeerTrust] => [
      name,
      {
        ...bundle.current,
        scheme: profile,
        rules: {
          tokenProfile: profile === 'spiffe' ? 'wit-svid' : 'wimse',
          ...(maxLifetime !== undefined && { maximumLifetime: maxLifetime }),
        },
        ...(crls.length > 0 && { revocationLists: crls.flatMap(({ current }) => current) }),
      },
    ]),
  )
}

/** Whoever can have an old bundle read again brings back an anchor that was taken out of it (SPIFFE Trust Domain and Bundle §4.1.1). */
async function readNewerBundle(
  file: Uint8Array,
  trustDomain: string,
  before: Awaited<ReturnType<typeof readTrustBundle>> | undefined,
): Promise<Awaited<ReturnType<typeof readTrustBundle>>> {
  const bundle = await readTrustBundle(file, trustDomain)
  const [had, has] = [before?.sequence, bundle.sequence]
  if (had !== undefined && (has === undefined || has < had)) {
    throw new Error(`spiffe_sequence ${has ?? 'is missing'}, after ${had}`)
  }
  return bundle
}

/** Likewise a list from before a certificate was revoked. */
function readNewerLists(file: Uint8Array, before: readonly RevocationList[] = []): readonly RevocationList[] {
  const lists = parseRevocationLists(file)
  const key = ({ issuer, authorityKeyId }: RevocationList) => `${toBase64(issuer)} ${authorityKeyId}`
  for (const list of lists) {
    const older = before.find((each) => key(each) === key(list))
    if (older && list.thisUpdate < older.thisUpdate) throw new Error('a revocation list older than the one before')
  }
  return lists
}

async function open<T>(
  path: string,
  read: (file: Uint8Array, before: T | undefined) => T | Promise<T>,
  report: (notice: FileNotice) => void,
): Promise<WatchedFiles<T>> {
  return atStart(path, () => WatchedFiles.open<T>([path], ([file], before) => read(file!, before), report))
}

async function atStart<T>(what: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LogError('malformed_config', `${what}: ${reason}`, { cause })
  }
}
