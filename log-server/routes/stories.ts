/**
 * Why credentials were issued, for whoever asks by a request: as much of it as they may see, and so many at a time as there is memory for.
 *
 * @module
 */
import type { FastifyRequest } from 'fastify'
import { EvidenceError } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import type { Bundle } from '../../provenance/verification/bundle.ts'
import { MAX_BUNDLED_BYTES } from '../../provenance/verification/bundle-set.ts'
import type { Door } from '../access/door.ts'
import { isInView, viewOf } from '../access/general-view.ts'
import {
  type BundleSource,
  type Collected,
  collectBundle,
  collectBundles,
  collectRegistered,
} from '../reading/collect.ts'
import { KnownStatements } from '../reading/known-statements.ts'
import { Slots } from '../turns.ts'
import type { LogReader } from '../types.ts'

/** More than are needed to have something to do while the store reads. */
const COLLECTED_AT_ONCE = 16

export interface StoriesOptions {
  readonly log: BundleSource['log'] & Pick<LogReader, 'meta' | 'statement'>
  readonly authorities: BundleSource['authorities']
  readonly door: Door
}

/** Of one listener. */
export class Stories {
  readonly #options: StoriesOptions
  readonly #known = new KnownStatements()
  // What is collected is in memory, up to 16 MiB for each request.
  readonly #collecting = new Slots(COLLECTED_AT_ONCE)

  constructor(options: StoriesOptions) {
    this.#options = options
  }

  /** @throws as {@link collectBundle} */
  one(credentialDigest: Hash, request: FastifyRequest): Promise<Bundle> {
    return this.#collect(request, (source) => collectBundle(credentialDigest, source))
  }

  several(credentialDigests: readonly Hash[], request: FastifyRequest): Promise<Collected> {
    return this.#collect(request, (source) => collectBundles(credentialDigests, source, MAX_BUNDLED_BYTES))
  }

  /** Of what was just registered, at `indexes`; undefined for whoever may not read, and when there is no room for all of it. */
  async registered(indexes: readonly number[], request: FastifyRequest): Promise<Collected | undefined> {
    if (!this.#options.door.visitOf(request).grants.has('read:general')) return undefined
    try {
      return await this.#collect(request, (source) => collectRegistered(indexes, source, MAX_BUNDLED_BYTES))
    } catch (error) {
      if (error instanceof EvidenceError) return undefined
      throw error
    }
  }

  #collect<T>(request: FastifyRequest, collect: (source: BundleSource) => Promise<T>): Promise<T> {
    return this.#collecting.run(() => collect(this.#sourceFor(request)), this.#options.door.nameOf(request))
  }

  #sourceFor(request: FastifyRequest): BundleSource {
    const { log, authorities, door } = this.#options
    const view = viewOf(door.visitOf(request))
    return {
      log,
      known: this.#known,
      authorities,
      shown: (wraps, signer) => door.wrapsFor(request, wraps, signer),
      ...(view && { isFor: (credential) => isInView(view, credential, { log, authorities }) }),
    }
  }
}
