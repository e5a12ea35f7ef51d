/**
 * Clients that cost by being there, in a process of their own: as many connections as told, in turn of each way there is to be slow, and
 * opened again as soon as the server ends one.
 *
 *     say nothing · headers that never end, a byte a second · a body likewise · large answers that are never read · half closed in the midst of a head
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { connect, type Socket } from 'node:net'

export interface SlowClients {
  readonly port: number
  readonly connections: number
  /** Each opens its share of them. */
  readonly addresses: readonly string[]
  /** With a large answer. */
  readonly path: string
}

/** How many were opened, and how many of those the server had no room for, or none for what they asked for. */
export interface SlowResult {
  readonly opened: number
  readonly refused: number
}

export class SlowProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves when all are connected. */
  static start(clients: SlowClients): Promise<SlowProcess> {
    const child = fork(new URL(import.meta.url), ['--slow'])
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the slow clients ended with ${code}`)))
      child.once('message', () => resolve(new SlowProcess(child)))
      child.send(clients)
    })
  }

  end(): Promise<SlowResult> {
    return new Promise((resolve) => {
      this.#child.removeAllListeners('exit')
      this.#child.once('message', (result) => {
        this.#child.kill()
        resolve(result as SlowResult)
      })
      this.#child.send('end')
    })
  }
}

if (process.argv.includes('--slow') && process.send) {
  process.once('message', (clients) => {
    const counts = { opened: 0, refused: 0 }
    void openAll(clients as SlowClients, counts).then(() => process.send?.('all'))
    process.once('message', () => process.send?.(counts))
    process.once('disconnect', () => process.exit())
  })
}

const HEAD = 'GET /checkpoint HTTP/1.1\r\nHost: x\r\n'
const POST =
  'POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor-seq\r\nContent-Length: 4000000\r\n\r\n'

/** What each begins with, and what it adds each second. */
function waysOf(path: string): readonly { readonly start: string; readonly drop: string; readonly half?: true }[] {
  return [
    { start: '', drop: '' },
    { start: `${HEAD}X-A: `, drop: 'x' },
    { start: POST + 'x'.repeat(60_000), drop: 'x' },
    { start: `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(100), drop: '' },
    { start: HEAD, drop: '', half: true },
  ]
}

async function openAll(
  { port, connections, addresses, path }: SlowClients,
  counts: { opened: number; refused: number },
): Promise<void> {
  const ways = waysOf(path)
  const dripping = new Map<Socket, string>()
  setInterval(() => {
    for (const [socket, drop] of dripping) socket.write(drop)
  }, 1000)
  const open = (i: number): Promise<void> =>
    new Promise((resolve) => {
      const { start, drop, half } = ways[i % ways.length]!
      const localAddress = addresses[Math.floor(i / ways.length) % addresses.length]!
      const socket = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true }, () => {
        counts.opened++
        if (start !== '') socket.write(start)
        if (half) socket.end()
        if (drop !== '') dripping.set(socket, drop)
        resolve()
      })
      socket.pause()
      socket.on('error', () => {})
      // Nothing is read, so what ends a connection is seen when it is closed, or not at all.
      socket.once('readable', () => {
        if (String(socket.read(12) ?? '').startsWith('HTTP/1.1 503')) counts.refused++
      })
      socket.once('close', () => {
        dripping.delete(socket)
        setTimeout(() => void open(i), 1000)
        resolve()
      })
    })
  for (let i = 0; i < connections; i += TOGETHER) {
    await Promise.all(Array.from({ length: Math.min(TOGETHER, connections - i) }, (_, j) => open(i + j)))
  }
}

/** What the system's queue for connections holds. */
const TOGETHER = 200
