/**
 * Where a client remembers the last checkpoint it verified, so that a log cannot show it a shorter or a different past tomorrow.
 *
 * @module
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** One log's last verified checkpoint, as its signed note. Whoever implements this must store per log. */
export interface CheckpointMemory {
  load(): Promise<string | undefined>
  save(note: string): Promise<void>
}

/** Forgets when the process ends. */
export function memoryInProcess(): CheckpointMemory {
  let kept: string | undefined
  return {
    load: async () => kept,
    save: async (note) => {
      kept = note
    },
  }
}

/** One file, replaced whole: a reader sees the old note or the new one. */
export function memoryInFile(path: string): CheckpointMemory {
  return {
    load: async () => {
      try {
        return await readFile(path, 'utf8')
      } catch (error) {
        // Only "never saved" may look like a first visit: any other failure would silently forget the past.
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
        throw error
      }
    },
    save: async (note) => {
      await mkdir(dirname(path), { recursive: true })
      await writeFileWhole(path, note)
    },
  }
}

/** Writes beside and renames over, synced. */
export async function writeFileWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
