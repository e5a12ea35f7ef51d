/**
 * The path of a request as it came over the wire, with nothing decoded: what grammars are held against.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'

/**
 * The path alone: without the query, which no route but `POST /entries` reads, and without the origin that a client of a proxy puts before it
 * (the absolute form of RFC 9112 §3.2.2, which every server must take).
 */
export function pathOf({ raw }: { readonly raw: Pick<IncomingMessage, 'url'> }): string {
  const url = (raw.url ?? '').replace(/^https?:\/\/[^/?]*/i, '')
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
