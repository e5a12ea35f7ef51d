/**
 * Who we are to a log that asks, also through proxies that end TLS: a Workload Identity Token, and with each request a proof made for that
 * request that we have its key.
 *
 *     files ──load──► { WIT, key }   looked at again every few seconds: a WIT lives for minutes
 *                          │
 *     request ─────────────┴──► Workload-Identity-Token, Workload-Proof-Token         `wpt`: who, to whom, until when
 *                               …, Signature-Input, Signature, Content-Digest         `httpsig`: and the whole request
 *
 * @module
 */
import { toBase64url } from '../../merkle/index.ts'
import { type FieldLine, type ProofSigner, proofKeyOf, signHttpRequest, signWpt } from '../../provenance/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'

export interface WorkloadIdentity {
  /** Compact. */
  readonly wit: string
  /** The private half of the key that it names. */
  readonly key: PrivateJwk
}

/** A request as it will be on the wire. */
export interface RequestToProve {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Without the query. */
  readonly url: string
  readonly fields: readonly FieldLine[]
  readonly content?: Uint8Array
}

/** The header fields by which the recipient of a request knows who sends it. To be asked anew for each: a proof is good once. */
export type Prover = (request: RequestToProve) => Promise<readonly FieldLine[]>

export interface ProverOptions {
  /** Reads the credential that there is now. */
  readonly load: () => Promise<WorkloadIdentity>
  readonly by?: 'wpt' | 'httpsig'
  /** What the log calls itself, where that is not the URL that we ask at. */
  readonly audience?: string
  /** POSIX seconds. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
}

/** Seconds. Long enough for a request that waits for a connection, too short to be of use to whoever finds it. */
const LIFETIME = 60
/** Seconds between two looks at the files. */
const LOOK_AGAIN = 5

interface Loaded {
  readonly wit: string
  readonly signer: ProofSigner
  readonly at: number
}

/** @throws (with the first request) whatever `load` throws; `wrong_proof_key`, `malformed_credential` */
export function createProver({ load, by = 'wpt', audience, now, random }: ProverOptions): Prover {
  let loading: Promise<Loaded> | undefined
  let loaded: Loaded | undefined

  async function look(): Promise<Loaded> {
    const at = now()
    try {
      const { wit, key } = await load()
      // The key of another WIT is refused before it is kept, and not with the first request.
      const signer = wit === loaded?.wit ? loaded.signer : (await proofKeyOf(wit, key)).signer
      loaded = { wit, signer, at }
    } catch (error) {
      // Somebody may be writing them just now, one after the other: what we have is good until it expires, and then the log says so.
      if (!loaded) throw error
      loaded = { ...loaded, at }
    }
    return loaded
  }

  async function current(): Promise<Loaded> {
    const at = now()
    // Also where a clock was set back.
    if (loaded && at >= loaded.at && at < loaded.at + LOOK_AGAIN) return loaded
    loading ??= look().finally(() => {
      loading = undefined
    })
    return loading
  }

  return async (request) => {
    const { wit, signer } = await current()
    const created = now()
    const about = { wit, audience: audience ?? request.url }
    const nonce = toBase64url(random(16))
    if (by === 'httpsig') {
      return signHttpRequest(request, { ...about, created, expires: created + LIFETIME, nonce }, signer)
    }
    const wpt = await signWpt({ ...about, expiresAt: created + LIFETIME, jti: nonce }, signer)
    return [
      ['Workload-Identity-Token', wit],
      ['Workload-Proof-Token', wpt],
    ]
  }
}
