/**
 * Writes an answer so that somebody else can check it: `answer-file.ts`.
 *
 * The statements come from the log once more, and each proof leads to the checkpoint that was replayed, whatever the log has grown to since.
 * All of it is checked here before it is written.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  checkInclusion,
  equalBytes,
  formatTlogProof,
  fromHex,
  type Hash,
  hashLeaf,
  toHex,
} from '../../../merkle/index.ts'
import { type LogClient, RefusedError } from '../../log-client/index.ts'
import type { Row } from '../database/cells.ts'
import { AuditError } from '../error.ts'
import { type AnswerFile, cellText, formatAnswer, MAX_PROVEN_ROWS, subjectOf } from './answer-file.ts'
import { completenessText, type Questions } from './ask.ts'

/** What proving asks of a log. */
export type ProofSource = Pick<LogClient, 'acceptCheckpoint' | 'inclusionProof' | 'statement'>

export interface AnswerToProve {
  readonly question: string
  readonly arguments: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  /** Whether it is about what was sealed. */
  readonly sealed: boolean
}

/**
 * Writes `answer` and its proofs to a directory that must not be there yet. It is for its owner alone: rows hold what was opened.
 *
 * @returns entries whose statement the log has no longer
 * @throws `AuditError` `output_exists`, `answer_too_large`, `malformed_answer_file` for an answer that names no entries; `MisbehaviourError`
 */
export async function writeProofs(
  directory: string,
  answer: AnswerToProve,
  questions: Pick<Questions, 'completeness' | 'rows'>,
  source: ProofSource,
): Promise<readonly number[]> {
  const { columns, question } = answer
  const { completeness } = questions
  if (answer.rows.length > MAX_PROVEN_ROWS) {
    throw new AuditError(
      'answer_too_large',
      `${answer.rows.length} rows, and at most ${MAX_PROVEN_ROWS} are proven at once`,
    )
  }
  const rows = answer.rows.map((row) => row.map(cellText))
  const about = new Map<number, Hash>(
    rows.map((row) => {
      const { index, entry } = subjectOf(columns, row)
      return [index, fromHex(entry)]
    }),
  )
  const authorities = await authoritiesOf([...about.keys()], questions)
  const checkpoint = await source.acceptCheckpoint(completeness.note)

  await makeNew(directory)
  const missing: number[] = []
  for (const [index, entry] of [...new Map([...authorities, ...about])]) {
    const proof = await source.inclusionProof(index, checkpoint.size)
    checkInclusion({ index, size: checkpoint.size, leafHash: hashLeaf(entry), proof }, checkpoint.root)
    const text = formatTlogProof({ index, proof, checkpoint: checkpoint.note })
    await writeNew(join(directory, 'entries', `${index}.tlog-proof`), text)
    const bytes = await statementOf(entry, source)
    if (bytes === undefined) missing.push(index)
    else await writeNew(join(directory, 'entries', `${index}.cose`), bytes)
  }
  const { origin, size, root, note } = completeness
  const file: AnswerFile = {
    question,
    arguments: answer.arguments,
    columns,
    rows,
    complete: { origin, size, root: toHex(root), note, words: completenessText(completeness, answer.sealed) },
    authorities: [...authorities.keys()],
  }
  // Last: a directory with it is whole.
  await writeNew(join(directory, 'answer.json'), formatAnswer(file))
  return missing
}

/** The records by which it is known who may sign those at `indexes`: every log policy, and all that their keys were ever authorized for. */
async function authoritiesOf(
  indexes: readonly number[],
  questions: Pick<Questions, 'rows'>,
): Promise<Map<number, Hash>> {
  if (indexes.length === 0) return new Map()
  const found = await questions.rows(
    `SELECT index, entry FROM records WHERE state = 'record' AND (type = 'log-policy' OR index IN (
       SELECT index FROM authorizations WHERE kid IN (
         SELECT kid FROM records WHERE index IN (SELECT unnest(string_split($indexes, ','))::BIGINT)))) ORDER BY index`,
    { indexes: indexes.join(',') },
  )
  return new Map(found.map(([index, entry]) => [index as number, entry as Uint8Array]))
}

async function statementOf(entry: Hash, source: ProofSource): Promise<Uint8Array | undefined> {
  try {
    const { statement } = await source.statement(entry)
    if (!equalBytes(statement.entry, entry)) throw new Error('the log client checks that it is what was asked for')
    return statement.bytes
  } catch (error) {
    if (error instanceof RefusedError && (error.status === 404 || error.status === 410)) return undefined
    throw error
  }
}

async function makeNew(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 })
    await mkdir(join(directory, 'entries'), { mode: 0o700 })
  } catch (cause) {
    throw new AuditError(
      'output_exists',
      `${directory} cannot be made: it must be new, and in a directory that is there`,
      {
        cause,
      },
    )
  }
}

/** Never through a link, nor over a file. */
async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content, { flag: 'wx', mode: 0o600 })
}
