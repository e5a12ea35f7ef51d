/**
 * HTTP with nothing in between: no retry, no interpretation. An answer, or that there was none.
 *
 * @module
 */
import http from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Uint8Array
}

export interface Question {
  readonly path: string
  readonly body?: Uint8Array
  readonly contentType?: string
}

export class Connections {
  readonly #url: string
  readonly #agent: http.Agent

  constructor(url: string, sockets: number) {
    this.#url = url
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: sockets })
  }

  /** Undefined when the connection broke before the answer was whole. */
  ask({ path, body, contentType }: Question): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const request = http.request(`${this.#url}/${path}`, {
        agent: this.#agent,
        method: body ? 'POST' : 'GET',
        headers: body ? { 'content-type': contentType, 'content-length': body.length } : {},
      })
      const broken = () => resolve(undefined)
      request.on('error', broken)
      request.on('response', (response) => {
        const parts: Uint8Array[] = []
        response.on('data', (part: Uint8Array) => parts.push(part))
        response.on('error', broken)
        response.on('aborted', broken)
        response.on('end', () => {
          const { statusCode: status = 0, headers } = response
          resolve({ status, headers, body: Buffer.concat(parts) })
        })
      })
      request.end(body)
    })
  }

  /** Sends, and goes away as soon as the bytes have left. */
  abandon({ path, body, contentType }: Question): Promise<void> {
    return new Promise((resolve) => {
      const request = http.request(`${this.#url}/${path}`, {
        agent: false,
        method: 'POST',
        headers: { 'content-type': contentType, 'content-length': body!.length },
      })
      request.on('error', () => resolve())
      request.end(body, () => {
        // A turn, so that the server has read it.
        setImmediate(() => {
          request.destroy()
          resolve()
        })
      })
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
