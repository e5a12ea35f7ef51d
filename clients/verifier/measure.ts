/**
 * Measuring a directory: the SHA-256 of every file in it, in one order, on every machine.
 *
 * Names, sizes and contents are measured. Modes, owners, times, empty directories and whatever happens in memory
 * afterwards are not. The reader is ordinary software in the system that it measures; README.md says what that is worth.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { VerifierError } from './error.ts'
import { type MeasuredFile, type Measurements, measurementsOf } from './evidence/measured-files.ts'

export interface MeasureLimits {
  readonly maxFiles: number
  readonly maxBytes: number
  /** Directories below the one measured. */
  readonly maxDepth: number
}

const LIMITS: MeasureLimits = { maxFiles: 4096, maxBytes: 8 * 1024 ** 3, maxDepth: 32 }

/**
 * Measures every file in `directory`. A symbolic link to a file in the same directory is measured as the file that it is to
 * whoever opens it; a link to anywhere else could change without the measurement changing, and is refused.
 *
 * @throws {@link VerifierError} `nothing_to_measure`, `link_leaves_directory`, `unmeasurable_file`, `too_many_files`
 */
export async function measureFiles(directory: string, limits: Partial<MeasureLimits> = {}): Promise<Measurements> {
  const { maxFiles, maxBytes, maxDepth } = { ...LIMITS, ...limits }
  const root = await realpath(directory)
  const files: MeasuredFile[] = []
  let bytes = 0

  async function walk(below: string, depth: number): Promise<void> {
    if (depth > maxDepth) throw new VerifierError('too_many_files', `${below} is nested deeper than ${maxDepth}`)
    for (const found of await readdir(join(root, below), { withFileTypes: true })) {
      // A name that is not UTF-8 was decoded with U+FFFD, as would be any other such name.
      if (found.name.includes('\ufffd'))
        throw new VerifierError('unmeasurable_file', `a name in ${below || '.'} is not UTF-8`)
      const path = below === '' ? found.name : `${below}/${found.name}`
      if (found.isDirectory()) {
        await walk(path, depth + 1)
        continue
      }
      if (files.length === maxFiles) throw new VerifierError('too_many_files', `more than ${maxFiles} files`)
      const file = await measureFile(path, found.isSymbolicLink(), maxBytes - bytes)
      bytes += file.size
      files.push(file)
    }
  }

  async function measureFile(path: string, isLink: boolean, maxSize: number): Promise<MeasuredFile> {
    const target = isLink ? await resolveLink(join(root, path), path) : join(root, path)
    if (!target.startsWith(root + sep)) {
      throw new VerifierError('link_leaves_directory', `${path} is a link to ${target}`)
    }
    return { path, ...(await hashFile(target, path, maxSize)) }
  }

  await walk('', 0)
  if (files.length === 0) throw new VerifierError('nothing_to_measure', `there are no files in ${directory}`)
  return measurementsOf(files)
}

async function resolveLink(link: string, path: string): Promise<string> {
  try {
    return await realpath(link)
  } catch (cause) {
    throw new VerifierError('unmeasurable_file', `${path} is a link to nothing`, { cause })
  }
}

async function hashFile(target: string, path: string, maxSize: number): Promise<{ size: number; sha256: string }> {
  // O_NONBLOCK: opening a named pipe would wait for a writer. O_NOFOLLOW: the links were followed and judged before.
  const file = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const before = await file.stat({ bigint: true })
    if (!before.isFile()) throw new VerifierError('unmeasurable_file', `${path} is not a file`)
    if (before.size > maxSize) throw new VerifierError('too_many_files', `more bytes than may be measured, at ${path}`)
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      hash.update(chunk)
      size += chunk.length
    }
    const after = await file.stat({ bigint: true })
    if (BigInt(size) !== after.size || before.mtimeNs !== after.mtimeNs || before.ctimeNs !== after.ctimeNs) {
      throw new VerifierError('unmeasurable_file', `${path} changed while it was read`)
    }
    return { size, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}
