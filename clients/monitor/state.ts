/**
 * What a monitor remembers of one log, in one file that is replaced whole.
 *
 * ```
 *   DIR/monitor.json     what is known, and alerts that are not delivered yet: saved before the first of them is sent
 *   DIR/checkpoint       the newest checkpoint seen: the log client's
 *   DIR/database/        the audit: the auditor's
 *   DIR/evidence-….json  what a third party needs to see how the log was caught
 * ```
 *
 * @module
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileWhole } from '../log-client/index.ts'
import type { Alert } from './alerts.ts'
import { MonitorError } from './error.ts'
import { type Known, NOTHING_KNOWN } from './follow.ts'

export interface MonitorState {
  readonly known: Known
  readonly pending: readonly Pending[]
}

/** An alert, and the channels that have not taken it yet. */
export interface Pending {
  readonly alert: Alert
  readonly channels: readonly string[]
}

const VERSION = 1

/** @throws {@link MonitorError} `damaged_state` */
export async function loadState(directory: string, origin: string): Promise<MonitorState> {
  const path = join(directory, 'monitor.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    // Only "never saved" may look like a first visit.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { known: NOTHING_KNOWN, pending: [] }
    throw error
  }
  const kept = readKept(text)
  if (kept?.version !== VERSION || kept.origin !== origin || !kept.known || !Array.isArray(kept.pending)) {
    throw new MonitorError('damaged_state', `${path} is not what a monitor of ${origin} remembered`)
  }
  return { known: kept.known, pending: kept.pending }
}

/** For its owner alone: the audit beside it has what was opened. */
export async function makeStateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
}

export async function saveState(directory: string, origin: string, { known, pending }: MonitorState): Promise<void> {
  await writeFileWhole(
    join(directory, 'monitor.json'),
    `${JSON.stringify({ version: VERSION, origin, known, pending })}\n`,
  )
}

interface Kept extends Partial<MonitorState> {
  readonly version?: unknown
  readonly origin?: unknown
}

function readKept(text: string): Kept | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Kept) : undefined
  } catch {
    return undefined
  }
}
