/**
 * What is left on disk when a log is caught: a file that shows a third party the same thing.
 *
 * @module
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UnavailableError } from '../../merkle/error.ts'
import { MisbehaviourError } from '../log-client/index.ts'
import { UsageError } from './command.ts'
import type { Io } from './io.ts'

export interface Misbehaviour {
  readonly code: string
  readonly message: string
  readonly extra: { readonly evidence?: string }
}

/**
 * Writes the evidence that `error` carries into the current folder, or `PROVLOG_EVIDENCE_DIR`, and returns what to tell. Where nothing can be written
 * there, it goes where temporary files do: a folder that is read-only must not make a log's misbehaviour look like a mistake of whoever asked.
 * Undefined for every other error.
 */
export async function writeMisbehaviour(error: unknown, io: Io): Promise<Misbehaviour | undefined> {
  if (!(error instanceof MisbehaviourError)) return undefined
  const seenAt = io.now()
  const name = `provlog-evidence-${error.code}-${seenAt}.json`
  const evidence = { code: error.code, message: error.message, seenAt, ...error.evidence }
  for (const folder of [io.env['PROVLOG_EVIDENCE_DIR'] || '.', tmpdir()]) {
    const path = join(folder, name)
    try {
      await io.writeFile(path, `${JSON.stringify(evidence, null, 2)}\n`)
      return { code: error.code, message: `${error.message}; evidence is in ${path}`, extra: { evidence: path } }
    } catch (failure) {
      if (!(failure instanceof UsageError || failure instanceof UnavailableError)) throw failure
    }
  }
  return { code: error.code, message: `${error.message}; no file of evidence could be written: ${name}`, extra: {} }
}
