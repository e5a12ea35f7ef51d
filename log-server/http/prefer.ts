/**
 * How long a client wants to wait for its receipt, in the words of three kinds of clients:
 *
 *     Prefer: respond-async, wait=5      RFC 7240
 *     ?waitForCommit=true                clients of CCF: for as long as it takes
 *     ?api-version=2026-03-26            pyscitt: a redirect, to an entry that has its index
 *
 * This decides in which of SCRAPI's two forms an outcome is told, and never what the outcome is: no header and no query has a say in
 * what is registered.
 *
 * @module
 */

export interface Wishes {
  /** Seconds after which the client would rather ask again. Undefined: it says nothing; Infinity: it waits. */
  readonly wait: number | undefined
  /** A redirect even when the receipt is there. */
  readonly redirect: boolean
  /** What `Prefer` asked for. */
  readonly preferred: Preferred
}

interface Preferred {
  readonly async: boolean
  readonly wait: number | undefined
}

/** Longer than this nobody waits: well within the time for which a silent connection is kept. */
const LONGEST_WAIT = 30

const NOTHING: Preferred = { async: false, wait: undefined }
const NONE: Wishes = { wait: undefined, redirect: false, preferred: NOTHING }

/** @param url as it came, with its query */
export function wishesOf(url: string, prefer: string | undefined): Wishes {
  const query = url.indexOf('?')
  if (query < 0 && prefer === undefined) return NONE
  const asked = new URLSearchParams(query < 0 ? '' : url.slice(query + 1))
  if (asked.get('waitForCommit') === 'true') {
    return { wait: Number.POSITIVE_INFINITY, redirect: false, preferred: NOTHING }
  }
  const preferred = parsePrefer(prefer)
  const { async, wait } = preferred
  return {
    wait: wait === undefined ? (async ? 0 : undefined) : Math.min(wait, LONGEST_WAIT),
    redirect: asked.has('api-version'),
    preferred,
  }
}

/** For `Preference-Applied`: what was done (RFC 7240 §3), and not what might have been. `waited` is whether the outcome came in time. */
export function appliedOf({ async, wait }: Preferred, waited: boolean): string | undefined {
  const applied = [
    ...(async && !waited ? ['respond-async'] : []),
    ...(wait !== undefined && (waited || wait <= LONGEST_WAIT) ? [`wait=${wait}`] : []),
  ]
  return applied.length > 0 ? applied.join(', ') : undefined
}

/** RFC 7240 §2: the first of each preference counts, and what is not understood is no error. */
function parsePrefer(header = ''): Preferred {
  const preferences = header
    .slice(0, 1024)
    .split(',')
    .map((each) => each.split(';')[0]!.trim().toLowerCase())
  const wait = preferences.find((each) => /^wait\s*=/.test(each))
  const seconds = /^wait\s*=\s*"?([0-9]{1,9})"?$/.exec(wait ?? '')?.[1]
  return {
    async: preferences.some((each) => /^respond-async(?:\s*=|$)/.test(each)),
    wait: seconds === undefined ? undefined : Number(seconds),
  }
}
