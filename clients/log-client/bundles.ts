/**
 * Many bundles at a time: `POST v1/provenance`, a CBOR array of digests for a bundle set, in which what several credentials rest on is there once.
 *
 * A log that has no such path is asked for one after another, with the same outcome.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import {
  BUNDLE_SET_MEDIA_TYPE,
  type Bundle,
  bundleIn,
  decodeBundleSet,
  MAX_BUNDLE_SET_BYTES,
  MAX_BUNDLES,
} from '../../provenance/index.ts'
import { decodeProblem, encodeCbor, PROBLEM_MEDIA_TYPE } from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import type { Fetcher } from './fetcher.ts'

/**
 * The bundle of each of `digests`, unverified, or why there is none.
 *
 * @param alone - asks for one
 * @throws `RefusedError`, `UnavailableError`, `AnswerError`; `ProvenanceError` `malformed_bundle`
 */
export async function fetchStories(
  digests: readonly Hash[],
  fetcher: Fetcher,
  alone: (digest: Hash) => Promise<Bundle>,
): Promise<(Bundle | Error)[]> {
  const outcomes: (Bundle | Error)[] = []
  for (let from = 0; from < digests.length; from += MAX_BUNDLES) {
    const some = digests.slice(from, from + MAX_BUNDLES)
    const found = some.length > 1 ? await fetchSet(some, fetcher) : some.map(() => undefined)
    for (const [i, outcome] of found.entries()) outcomes.push(outcome ?? (await outcomeOf(alone(some[i]!))))
  }
  return outcomes
}

/** Undefined for each that is to be asked for alone. */
async function fetchSet(digests: readonly Hash[], fetcher: Fetcher): Promise<(Bundle | Error | undefined)[]> {
  let body: Uint8Array
  try {
    const answer = await fetcher.fetch({
      method: 'POST',
      path: 'v1/provenance',
      accept: `${BUNDLE_SET_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE}`,
      contentType: 'application/cbor',
      body: encodeCbor(digests),
      maxBytes: MAX_BUNDLE_SET_BYTES,
    })
    if (answer.status !== 200) throw new AnswerError('malformed_answer', `v1/provenance: HTTP ${answer.status}`)
    body = answer.body
  } catch (error) {
    if (error instanceof RefusedError && NO_SUCH_PATH.includes(error.status)) return digests.map(() => undefined)
    throw error
  }
  const set = decodeBundleSet(body)
  if (set.bundles.length !== digests.length) {
    throw new AnswerError('malformed_answer', `${set.bundles.length} bundles for ${digests.length} credentials`)
  }
  return set.bundles.map((places, i) => {
    if (!(places instanceof Uint8Array)) return bundleIn(set, places, digests[i]!)
    const { title, detail, code, status = 400 } = decodeProblem(places)
    // What has no room beside the others may have it alone.
    if (code === 'bundle_too_large') return undefined
    return new RefusedError({ status, code: code ?? `http_${status}`, title, detail })
  })
}

const NO_SUCH_PATH: readonly number[] = [404, 405]

function outcomeOf(bundle: Promise<Bundle>): Promise<Bundle | Error> {
  return bundle.catch((error: Error) => error)
}
