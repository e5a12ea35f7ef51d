/**
 * The id of a request: on its answer (`X-Request-Id`), in the line about an error of ours, and in its audit line.
 *
 *     9f3c21ab77e0415d     eight random bytes: a count would say to everybody how much others ask
 *
 * Nobody names a request but us, and a proxy that is authenticated and configured (`access/door.ts`): what anybody could choose, anybody could
 * choose to be like somebody else's, or to be a secret that then stands in a file.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'

const LENGTH = 16
/** Asked for together: one by one they would cost more than all else that a request id does. */
const TOGETHER = 512

export function requestIds(random: (length: number) => Uint8Array): () => string {
  let digits = ''
  let at = 0
  return () => {
    if (at === digits.length) {
      digits = toHex(random((LENGTH / 2) * TOGETHER))
      at = 0
    }
    at += LENGTH
    return digits.slice(at - LENGTH, at)
  }
}

export const REQUEST_ID = 'x-request-id'

/** What proxies make themselves: a UUID, or its 16 bytes in hex. Undefined for anything else. */
export function idOfProxy(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' && PROXY_ID.test(header) ? header : undefined
}

const PROXY_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/
