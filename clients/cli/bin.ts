#!/usr/bin/env node
/**
 * The `provlog` program.
 *
 * @module
 */
import { redactError } from '../../provenance/index.ts'
import { processIo } from './io.ts'
import { main } from './main.ts'

/** A bug of ours. Node would print every member of the error, and of its causes, and so what was being read. */
function crash(error: unknown): never {
  process.stderr.write(`${JSON.stringify(redactError(error), null, 2)}\n`)
  process.exit(1)
}
process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)

// `provlog … | head`: whoever read has read enough. What is under way is done all the same, and its exit code says how it went.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await main(process.argv.slice(2), processIo())
