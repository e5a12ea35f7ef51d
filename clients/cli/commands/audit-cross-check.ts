/** `audit cross-check`: what a second source knows of, and the log does not. @module */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { escapeControls } from '../../../provenance/index.ts'
import {
  CROSS_CHECK_WORDS,
  crossCheck,
  Questions,
  readLedger,
  readSighting,
  type Sighting,
} from '../../auditor/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'

export const auditCrossCheck: Command = {
  name: 'audit cross-check',
  summary: 'list credentials that a second source knows of and the log has no record of',
  flags: {
    state: { value: 'DIR', about: 'where the audit was kept', required: true },
    ledger: { value: 'FILE.csv', about: 'an issuer’s own: a column digest (SHA-256), or serial, jti, identifier' },
    certificates: { value: 'DIR', about: 'a directory of credentials: PEM, DER, or tokens' },
  },

  async run(args, io) {
    const sightings = await sightingsIn(args, io)
    const questions = await Questions.open(args.text('state'))
    try {
      const { seen, unlogged } = await crossCheck(sightings, questions)
      const { origin, size } = questions.completeness
      if (args.has('json')) {
        io.out(JSON.stringify({ ok: unlogged.length === 0, origin, size, seen, unlogged, words: CROSS_CHECK_WORDS }))
      } else {
        for (const { where, digest, identifier } of unlogged) {
          io.out(`${io.style('red', 'unlogged')} ${escapeControls(`${where}: ${digest ?? identifier}`)}`)
        }
        io.out(`${seen} seen elsewhere, ${unlogged.length} of them not among the ${size} entries of ${origin}`)
        io.out(io.style('dim', CROSS_CHECK_WORDS))
      }
      return unlogged.length === 0 ? Exit.ok : Exit.refused
    } finally {
      questions.close()
    }
  },
}

async function sightingsIn(args: Arguments, io: Io): Promise<Sighting[]> {
  const [ledger, certificates] = [args.optional('ledger'), args.optional('certificates')]
  if (ledger === undefined && certificates === undefined) throw new UsageError('give --ledger or --certificates')
  const all = ledger === undefined ? [] : readLedger(await io.readFile(ledger))
  if (certificates === undefined) return all
  const names = await readdir(certificates).catch(() => {
    throw new UsageError(`cannot read the directory ${certificates}`)
  })
  for (const name of names.sort()) all.push(readSighting(name, await io.readFile(join(certificates, name))))
  return all
}
