/**
 * `GET /metrics` for Prometheus: what is in the file for node_exporter's textfile collector, for those who have no node_exporter.
 *
 * It answers nothing else, reads no body and holds few connections for a short time, so that whoever else asks here gets a small clear answer and
 * nothing of the monitor's time.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isLoopback } from '../log-client/index.ts'
import { MonitorError } from './error.ts'

export interface MetricsListener {
  /** With the port that was given to it. */
  readonly url: string
  close(): Promise<void>
}

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
/** Connections at a time; Prometheus has one. */
const MAX_CONNECTIONS = 32
/** Milliseconds for a request, and for the next one on its connection. */
const PATIENCE = 5000
const MAX_HEADER_BYTES = 8192

/**
 * @param address - `PORT`, or `HOST:PORT`; this machine alone, without a host
 * @param text - in the format 0.0.4; undefined while there is nothing to say
 * @throws {@link MonitorError} `malformed_address`, `address_unavailable`
 */
export async function listenForMetrics(address: string, text: () => string | undefined): Promise<MetricsListener> {
  const { host, port } = parseAddress(address)
  const onlyHere = isLoopback(host.includes(':') ? `[${host}]` : host)
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: PATIENCE,
    requestTimeout: PATIENCE,
    keepAliveTimeout: PATIENCE,
    connectionsCheckingInterval: 1000,
  }
  const server = createServer(limits, (request, response) => {
    send(response, answerTo(request, onlyHere, text), request.method !== 'HEAD')
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new MonitorError('address_unavailable', `cannot listen on ${address} (${cause.code})`, { cause }))
    })
    server.listen(port, host, resolve)
  })
  const { port: given } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${given}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

function answerTo(
  { method, url = '', headers }: IncomingMessage,
  onlyHere: boolean,
  text: () => string | undefined,
): Answer {
  if (method !== 'GET' && method !== 'HEAD') return refusal(405, 'GET /metrics', { allow: 'GET, HEAD' })
  // A page elsewhere whose name was made to lead to this machine asks under that name.
  if (onlyHere && !isThisMachine(headers.host)) return refusal(421, 'this machine answers to its own names alone')
  if (url.replace(/\?.*$/s, '') !== '/metrics') return refusal(404, 'GET /metrics')
  const found = text()
  if (found === undefined) return refusal(503, 'no round has ended yet', { 'retry-after': '10' })
  return { status: 200, text: found, headers: { 'cache-control': 'no-store' } }
}

/** With it the connection ends: a body that may follow is not waited for. */
function refusal(status: number, words: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, text: `${words}\n`, headers: { connection: 'close', ...headers } }
}

function send(response: ServerResponse, { status, text, headers }: Answer, withText: boolean): void {
  const length = String(Buffer.byteLength(text))
  response.writeHead(status, { 'content-type': CONTENT_TYPE, 'content-length': length, ...headers })
  response.end(withText ? text : undefined)
}

function isThisMachine(host: string | undefined): boolean {
  return host === undefined || isLoopback(host.replace(/:\d+$/, ''))
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits = ''] =
    /^(?:(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9.-]{1,253})):)?(\d{1,5})$/i.exec(address) ?? []
  const port = digits === '' ? Number.NaN : Number(digits)
  if (!(port <= 65_535)) throw new MonitorError('malformed_address', 'an address is PORT, HOST:PORT or [IPv6]:PORT')
  return { host: bracketed ?? plain ?? '127.0.0.1', port }
}
