/**
 * Where audit lines go: a file, which may be renamed at any time, or one of the process's streams.
 *
 * @module
 */
import { statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { LogError } from '../types.ts'
import type { AuditSink } from './audit-log.ts'
import { isStream } from './config.ts'

/**
 * The sink that the configuration names: a file is appended to, and opened again when another has its name (it was rotated).
 *
 * @throws {@link LogError} `malformed_config` where it cannot be opened
 */
export async function openSink({ file, sync }: { readonly file: string; readonly sync: boolean }): Promise<AuditSink> {
  if (isStream(file)) return streamSink(process[file])
  const sink = new FileSink(file, sync)
  try {
    await sink.open()
  } catch (cause) {
    throw new LogError('malformed_config', `the audit file ${file} cannot be opened`, { cause })
  }
  return sink
}

class FileSink implements AuditSink {
  readonly #path: string
  readonly #sync: boolean
  #file: FileHandle | undefined
  #inode = ''
  #isLineOpen = false

  constructor(path: string, sync: boolean) {
    this.#path = path
    this.#sync = sync
  }

  async open(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    const file = await open(this.#path, 'a', 0o600)
    this.#inode = inodeOf(await file.stat())
    this.#file = file
  }

  /** Whoever rotates it renames it, and needs to tell nobody: looked at before each write, of which there is one for many lines. */
  async write(text: string): Promise<void> {
    // At once: the system has it in memory, and a turn through the pool's threads costs an append more than the look itself.
    const there = statSync(this.#path, { throwIfNoEntry: false })
    if (!this.#file || !there || inodeOf(there) !== this.#inode) await this.open()
    const file = this.#file!
    // A full disk takes a part of what it is given: that line is ended before it is written again, and a reader skips it.
    const bytes = Buffer.from(this.#isLineOpen ? `\n${text}` : text)
    for (let at = 0; at < bytes.length; ) {
      at += (await file.write(bytes, at)).bytesWritten
      this.#isLineOpen = at < bytes.length
    }
    if (this.#sync) await file.datasync()
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }
}

function inodeOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`
}

function streamSink(stream: Writable): AuditSink {
  return {
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => (error ? reject(error) : resolve()))
      }),
    // Not ours to close.
    close: async () => {},
  }
}
