/**
 * Putting made entries on a log past its admission: through the sequencer, as a log would that lets in what it likes.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Candidate, initLog } from '../../log-server/index.ts'
import { type Log, openLog } from '../../log-server/log.ts'
import { paths } from '../../log-server/storage/directory.ts'
import { changesAuthority } from '../../log-server/storage/entry-rows.ts'
import { type RecordStatement, recordStatementOf } from '../../provenance/index.ts'
import {
  importVerificationKey,
  parsePrivateJwk,
  parseSignedStatement,
  verifySignedStatement,
} from '../../statement/index.ts'
import { type Cast, type CastInput, randomOf } from './cast.ts'
import type { MadeEntry } from './chapter.ts'
import { BEGINNING } from './roots.ts'

export const ORIGIN = 'log.example/made'

export interface NewMadeLog extends CastInput {
  readonly vkey: string
}

/** An empty log, entry 0 apart, whose keys follow from the seed. */
export async function beginLog(dataDir: string, seed: string): Promise<NewMadeLog> {
  const random = randomOf(`${seed} log`)
  const { vkey } = await initLog({ dataDir, origin: ORIGIN, now: () => BEGINNING, random })
  const adminJwk = parsePrivateJwk(JSON.parse(await readFile(paths(dataDir).adminKey, 'utf8')))
  return { seed, origin: ORIGIN, adminJwk, vkey }
}

/** The log, open for {@link put}. */
export function openMadeLog(dataDir: string, now: () => number): Promise<Log> {
  return openLog({ dataDir, now })
}

/** In this order; rejects when the sequencer refuses one, which it does for nothing but names that are taken. */
export async function put(log: Log, entries: readonly MadeEntry[], cast: Cast): Promise<void> {
  const candidates: Candidate[] = []
  for (const entry of entries) candidates.push(await candidateOf(entry, cast))
  for (const outcome of await log.sequencer.appendAll(candidates)) if (outcome instanceof Error) throw outcome
}

/** What changes who may write comes with its record. */
async function candidateOf(entry: MadeEntry, cast: Cast): Promise<Candidate> {
  if (!changesAuthority(entry.type)) return entry
  const signers = [cast.admin, ...cast.issuers, ...cast.verifiers]
  const signer = signers.find(({ kid }) => kid === entry.signer)
  if (!signer) return entry
  const key = await importVerificationKey(signer.publicJwk)
  const statement = await verifySignedStatement(parseSignedStatement(entry.statement), key)
  return { ...entry, record: recordStatementOf(statement) as RecordStatement }
}

/** What an auditor of a made log has: `TRUST.json` and a key. */
export async function writeAuditorFiles(dataDir: string, { vkey }: NewMadeLog, cast: Cast): Promise<void> {
  const trust = {
    logs: [{ origin: ORIGIN, vkey }],
    trustDomains: {},
    issuers: cast.issuers.map(({ issuer }) => issuer),
    verifiers: cast.verifiers.map(({ issuer }) => issuer),
    minimumTier: 'affirming',
  }
  await writeFile(join(dataDir, 'TRUST.json'), `${JSON.stringify(trust, null, 2)}\n`)
  const key = `${JSON.stringify(cast.auditorEncryption, null, 2)}\n`
  await writeFile(join(dataDir, 'auditor.jwk'), key, { mode: 0o600 })
}
