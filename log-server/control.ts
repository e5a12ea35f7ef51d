/**
 * The socket by which commands on the same machine reach the server that has a log open: LevelDB lets one process have it.
 *
 * ```
 *   ► {"do": "status"}\n      ◄ {"ok": true, …}\n
 *   ► {"do": "freeze"}\n      ◄ {"ok": true, "size", "root", "at"}\n
 *   ► {"do": "backup"}\n      ◄ {"ok": true}\n (u16 length ‖ key ‖ u32 length ‖ value)… 00 00
 *                             ◄ {"ok": false, "code", "message"}\n
 * ```
 *
 * Mode 0600, in a directory of mode 0700: whoever can open it can read the private keys beside it, and needs no other proof. A backup that ends without the two
 * zeros was cut off.
 *
 * @module
 */

import { once } from 'node:events'
import { unlink } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { equalBytes, fromUtf8, toHex } from '../merkle/bytes.ts'
import { EvidenceError, UnavailableError } from '../merkle/error.ts'
import type { Log } from './log.ts'
import type { Row } from './recovery/backup.ts'
import { encodeRow, RowReader } from './recovery/backup-format.ts'
import { type Frozen, freezeLog } from './recovery/freeze.ts'
import { paths } from './storage/directory.ts'
import { isCode } from './storage/guard.ts'
import { LogError, type LogErrorCode } from './types.ts'

const MAX_LINE_BYTES = 4096
/** Whoever takes nothing for so long gets nothing more: while a backup is read, nothing that was erased leaves the disk. */
const IDLE_MS = 60_000
const MAX_CONNECTIONS = 8
/** Of `sockaddr_un` on Linux, without the zero at the end. */
const MAX_PATH_BYTES = 107

export interface ControlOptions {
  readonly dataDir: string
  readonly log: Pick<Log, 'sequencer' | 'rows' | 'scrub' | 'origin' | 'reader'>
  readonly now: () => number
  readonly report: (error: unknown) => void
}

/** Undefined where the path is too long for a socket, as in deep temporary directories. */
export async function openControl(options: ControlOptions): Promise<{ close(): Promise<void> } | undefined> {
  const path = paths(options.dataDir).control
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return undefined
  // One that is there is of a process that was killed: LevelDB's lock says that nobody else has this log.
  await unlink(path).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
  })
  const open = new Set<Socket>()
  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    answer(socket, options).catch((error: unknown) => {
      if (!socket.destroyed) options.report(error)
      socket.destroy()
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  // Bound at once, and for nobody else from the beginning: `chmod` afterwards would leave a moment.
  const mask = process.umask(0o177)
  server.listen(path)
  process.umask(mask)
  await once(server, 'listening')
  return {
    async close() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function answer(socket: Socket, options: ControlOptions): Promise<void> {
  try {
    const asked = JSON.parse(fromUtf8(await readLine(socket))) as { do?: unknown } | null
    if (asked?.do === 'backup') return await sendBackup(socket, options)
    if (asked?.do !== 'status' && asked?.do !== 'freeze') throw new LogError('not_found', 'no such request')
    const said =
      asked.do === 'freeze' ? told(await freezeLog(options.dataDir, options.log, options.now())) : statusOf(options)
    socket.end(`${JSON.stringify({ ok: true, ...said })}\n`)
  } catch (error) {
    const { code, message } = error instanceof EvidenceError ? error : new LogError('not_found', 'no such request')
    if (!(error instanceof EvidenceError || error instanceof SyntaxError)) options.report(error)
    socket.end(`${JSON.stringify({ ok: false, code, message })}\n`)
  }
}

function told({ size, root, at }: Frozen) {
  return { size, root: toHex(root), at }
}

function statusOf({ log }: ControlOptions) {
  const { size, root, issuedAt } = log.reader.treeHead()
  const { frozen } = log.sequencer
  return {
    origin: log.origin,
    size,
    root: toHex(root),
    issuedAt,
    frozen,
    checkpoint: log.reader.checkpoint(),
    scrub: log.scrub.state,
  }
}

async function sendBackup(socket: Socket, { log }: ControlOptions): Promise<void> {
  socket.write('{"ok":true}\n')
  for await (const rows of log.rows()) {
    if (socket.destroyed) return
    if (!socket.write(Buffer.concat(rows.map(([key, value]) => encodeRow(key, value))))) {
      await Promise.race([once(socket, 'drain'), once(socket, 'close')])
    }
  }
  // What was read may be a tree that is not published yet. It is signed and on the disk, so it is the next one that is published, by this process or by the one after it.
  socket.end(Buffer.from([0, 0]))
}

function readLine(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let line = Buffer.alloc(0)
    const onData = (bytes: Buffer) => {
      line = Buffer.concat([line, bytes])
      const end = line.indexOf(10)
      if (end < 0 && line.length <= MAX_LINE_BYTES) return
      socket.off('data', onData)
      if (end < 0) reject(new LogError('not_found', 'no request of a line'))
      else resolve(line.subarray(0, end))
    }
    socket.on('data', onData)
    socket.on('close', () => reject(new UnavailableError('hung up before it asked')))
  })
}

/** The server that has the log open; undefined when there is none. */
export async function connectControl(dataDir: string): Promise<Socket | undefined> {
  const socket = createConnection(paths(dataDir).control)
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    // No socket, one that nobody listens on any more, a path that is too long: whoever opens the log finds whether somebody has it.
    return undefined
  }
}

/** What a running server says to `status` or `freeze`. @throws {@link LogError} what it refuses with; UnavailableError when it hangs up */
export async function askControl(socket: Socket, request: 'status' | 'freeze'): Promise<Record<string, unknown>> {
  socket.write(`${JSON.stringify({ do: request })}\n`)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return acceptedIn(Buffer.concat(chunks))
}

/** The rows of a running server. @throws as {@link askControl} */
export async function* controlRows(socket: Socket): AsyncGenerator<readonly Row[]> {
  socket.write('{"do":"backup"}\n')
  const rows = new RowReader()
  let begun: Buffer | undefined = Buffer.alloc(0)
  // Two bytes are kept back: they may be the last.
  let kept = Buffer.alloc(0)
  for await (const chunk of socket) {
    let bytes = chunk as Buffer
    if (begun) {
      begun = Buffer.concat([begun, bytes])
      const end = begun.indexOf(10)
      if (end < 0) continue
      acceptedIn(begun.subarray(0, end + 1))
      bytes = begun.subarray(end + 1)
      begun = undefined
    }
    const all: Buffer = Buffer.concat([kept, bytes])
    kept = Buffer.from(all.subarray(-2))
    if (all.length > 2) yield rows.push(all.subarray(0, -2))
  }
  if (!equalBytes(kept, Uint8Array.of(0, 0)))
    throw new UnavailableError('the server broke off in the middle of the backup')
  rows.end()
}

function acceptedIn(bytes: Buffer): Record<string, unknown> {
  let said: Record<string, unknown>
  try {
    said = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
  } catch {
    throw new UnavailableError('the server hung up before it answered')
  }
  if (said['ok'] !== true) throw new LogError(String(said['code']) as LogErrorCode, String(said['message']))
  return said
}
