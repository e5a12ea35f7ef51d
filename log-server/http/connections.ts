/**
 * Connections: how many there may be, of one address and of all, and for how long an answer may lie unread.
 *
 * Each costs a file and some 10 KB, whatever is done with it, and an address can open thousands in a second. So there is room for as many as the
 * process may have files, less those that the store needs, and addresses share it (`shared-room.ts`). One that has no place is told so and closed
 * before a byte of it is read, or a handshake begun; the others notice nothing of it.
 *
 * Timeouts (`http-server.ts`) end connections on which nothing moves. A client that takes one byte of its answer now and then moves something, and holds
 * the rest of it in our memory: {@link ConnectionLimits.answer}.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type http from 'node:http'
import type { Socket } from 'node:net'
import { networkOf } from '../access/limits.ts'
import { SharedRoom } from '../shared-room.ts'
import { OPEN_FILES } from '../storage/level/open.ts'

export interface ConnectionLimits {
  readonly max: number
  /** Milliseconds for which an answer may lie unread; after that it must have been taken at {@link MIN_BYTES_PER_SECOND} or more. */
  readonly answer: number
  /** Milliseconds after which that is looked at again. */
  readonly interval: number
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number
  /** Closes a connection for which there is no room. */
  readonly refuse: (socket: Socket) => void
  readonly isTls: boolean
}

/** When not said, and the process may have so many files. */
export const DEFAULT_MAX_CONNECTIONS = 16_384
const FEWEST_CONNECTIONS = 16
/** Besides what LevelDB has open: its log, ours, libraries, those whom we ask. */
const OTHER_FILES = OPEN_FILES + 100
const MIN_BYTES_PER_SECOND = 10 * 1024

/** To be called before anybody else listens for requests. */
export function limitConnections(server: http.Server, limits: ConnectionLimits): void {
  const room = new SharedRoom({ count: limits.max })
  // Node has no place between accepting a connection and beginning to read it: its own listener is called from here.
  const accept = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const address = networkOf(socket.remoteAddress ?? '')
    if (!room.take(address, 1)) {
      // Of somebody who is gone already, or goes without listening.
      socket.on('error', () => {})
      limits.refuse(socket)
      return
    }
    socket.once('close', () => room.giveBack(address, 1))
    for (const listener of accept) listener.call(server, socket)
  })
  // Those that are being refused are open, too, for a moment: beyond these the system's queue is emptied unheard.
  server.maxConnections = limits.max + BEING_REFUSED
  cutOffSlowReaders(server, limits)
}

const BEING_REFUSED = 64

/** An answer that was not taken whole when it was last looked at. */
interface Unread {
  readonly since: number
  /** Bytes that had been taken on the connection by then. */
  readonly taken: number
}

function cutOffSlowReaders(
  server: http.Server,
  { answer, interval, isTls, now = () => performance.now() }: ConnectionLimits,
): void {
  const sockets = new Set<Socket>()
  const unread = new WeakMap<Socket, Unread>()
  server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (socket.destroyed) return
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const looking = setInterval(() => {
    const at = now()
    for (const socket of sockets) {
      if (socket.writableLength === 0) {
        unread.delete(socket)
        continue
      }
      const taken = socket.bytesWritten - socket.writableLength
      const before = unread.get(socket)
      if (!before) unread.set(socket, { since: at, taken })
      else if (at - before.since > answer && isSlow(taken - before.taken, at - before.since)) socket.destroy()
    }
  }, interval)
  looking.unref()
  server.once('close', () => clearInterval(looking))
}

function isSlow(bytes: number, milliseconds: number): boolean {
  return bytes * 1000 < MIN_BYTES_PER_SECOND * milliseconds
}

/** As many as are wanted, of the files that this process may have open. On systems that do not say how many, as many as are wanted. */
export async function connectionsFor(wanted: number, limits = '/proc/self/limits'): Promise<number> {
  const text = await readFile(limits, 'latin1').catch(() => '')
  const files = Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY)
  return Math.min(wanted, Math.max(FEWEST_CONNECTIONS, files - OTHER_FILES))
}
