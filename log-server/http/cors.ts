/**
 * Letting any page read what any program can (the Fetch standard, §3.2): it is public, the same for everybody, and answers to no cookie.
 * Pages do not write: whatever registers statements is no business of a page that somebody happens to visit.
 *
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Beyond what every page may see: how to ask again, and what part of an answer it got. */
const EXPOSED = 'etag, retry-after, location, accept-ranges, content-range, content-encoding, x-request-id'
/** What a reader may ask with. Browsers ask first when a page sets one of these. */
const ALLOWED = 'accept, if-none-match, if-range, range'

export function isRead({ method }: Pick<FastifyRequest, 'method'>): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Errors too: a page that may not see one only knows that something failed. */
export function letPagesRead(reply: FastifyReply): void {
  reply.headers({ 'access-control-allow-origin': '*', 'access-control-expose-headers': EXPOSED })
}

/** Whether a browser asks if a page may send a request of some other method. */
export function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/** To be sent for paths that can be read. What it does not name, the browser refuses the page. */
export function answerPreflight(reply: FastifyReply): FastifyReply {
  return reply
    .code(204)
    .headers({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': ALLOWED,
      'access-control-max-age': '86400',
      vary: 'access-control-request-method, access-control-request-headers',
    })
    .send()
}
