/**
 * `provlog log serve` in a process of its own, loaded before it is told what to serve: a fault can then be set for what it does with
 * its data, and for nothing before that. Or another command, likewise.
 *
 * ```
 *   it says   {"ready":true}                              loaded
 *   it hears  {"words":["--data",…]}                      the rest of the command line: from here on it is that command
 *             {"words":…,"writeBufferSize":65536}         likewise, with LevelDB's tables small
 *             {"command":"log backup","words":…}          another command than that
 *             {"shift":86400}                             the clock is so many seconds off, from now on
 * ```
 *
 * @module
 */
import { createInterface } from 'node:readline'
import { isMainThread } from 'node:worker_threads'
import { Level } from 'level'
import type { Command } from '../../clients/cli/command.ts'
import { logBackup } from '../../clients/cli/commands/log-backup.ts'
import { logRepair } from '../../clients/cli/commands/log-repair.ts'
import { logRestore } from '../../clients/cli/commands/log-restore.ts'
import { logServe } from '../../clients/cli/commands/log-serve.ts'
import { processIo } from '../../clients/cli/io.ts'
import { runCommand } from '../../clients/cli/run-command.ts'
import { redactError } from '../../provenance/index.ts'

const COMMANDS = { 'log serve': logServe, 'log backup': logBackup, 'log restore': logRestore, 'log repair': logRepair }

export interface Order {
  readonly command?: keyof typeof COMMANDS
  readonly words?: readonly string[]
  readonly writeBufferSize?: number
  readonly shift?: number
}

// The threads that verify signatures are started from this same file.
if (isMainThread) {
  const systemNow = Date.now
  let shift = 0
  Date.now = () => systemNow() + shift * 1000
  const orders = createInterface({ input: process.stdin })
  orders.on('line', (line) => {
    const order = JSON.parse(line) as Order
    shift = order.shift ?? shift
    if (order.writeBufferSize !== undefined) openWith(order.writeBufferSize)
    if (order.words) run(COMMANDS[order.command ?? 'log serve'], order.words)
  })
  process.stdout.write('{"ready":true}\n')
}

function run(command: Command, words: readonly string[]): void {
  runCommand(command, words, processIo()).then(
    (code) => {
      process.exitCode = code
      process.stdin.destroy()
    },
    // As `bin.ts` ends it: a bug of ours.
    (error: unknown) => {
      process.stderr.write(`${JSON.stringify(redactError(error), null, 2)}\n`)
      process.exit(1)
    },
  )
}

/** Has LevelDB begin a table after so many bytes: what takes 64 MiB of statements else is done by a few. */
function openWith(writeBufferSize: number): void {
  const hook = Level.prototype as unknown as { _open: (this: Level, options: object) => Promise<void> }
  const { _open: open } = hook
  hook._open = function (options) {
    return open.call(this, { ...options, writeBufferSize, maxFileSize: 1024 * 1024 })
  }
}
