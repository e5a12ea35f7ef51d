/**
 * The file system as deliveries use it, and what it has to look like before anything secret is put into it or believed out of it.
 *
 * A directory is *private* when its owner alone can list, read and change it, and *ours* when that owner is we ourselves or root. Other
 * people's are refused in both directions: whoever owns a directory can put a symbolic link where we are about to write, and a credential
 * of his own where we are about to read.
 *
 * @module
 */
import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { DeliveryError } from './error.ts'

/** What changes a disk, one call a step: a test breaks off after each. */
export interface DeliveryFiles {
  /** Mode 0700. Fails when it is there. */
  readonly makeDirectory: (path: string) => Promise<void>
  /** A new file of mode 0600, on the disk when this resolves. Fails when it is there. */
  readonly writeNew: (path: string, bytes: Uint8Array) => Promise<void>
  readonly makeLink: (target: string, path: string) => Promise<void>
  /** Over what is there. */
  readonly rename: (from: string, to: string) => Promise<void>
  /** Makes names in a directory durable. */
  readonly syncDirectory: (path: string) => Promise<void>
  /** With all that is in it; silent when nothing is there. */
  readonly remove: (path: string) => Promise<void>
}

export const diskFiles: DeliveryFiles = {
  makeDirectory: async (path) => {
    await mkdir(path, { mode: 0o700 })
  },
  writeNew: async (path, bytes) => {
    // `wx` neither follows a link nor opens what somebody else has put there.
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  },
  makeLink: (target, path) => symlink(target, path),
  rename: (from, to) => rename(from, to),
  syncDirectory: async (path) => {
    const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
}

/** Names in a directory; none when there is no directory. */
export async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

/** What a symbolic link says; undefined when none is there. */
export async function readLink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'EINVAL')) return undefined
    throw error
  }
}

export async function inspect(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** How closed a directory has to be: to all others, or only against their changes. */
export type Closed = 'private' | 'unchangeable'

/**
 * Checks a directory, and with `private` every directory above it too: who can rename one of those can put another tree in its place.
 *
 * @throws {@link DeliveryError} `no_delivery` when it is not there; `wrong_file_type`, `wrong_owner`, `not_private`
 */
export async function checkDirectory(path: string, closed: Closed): Promise<void> {
  const full = resolve(path)
  const found = await inspect(full)
  if (!found) throw new DeliveryError('no_delivery', `there is no directory ${full}`)
  if (!found.isDirectory()) throw new DeliveryError('wrong_file_type', `${full} is not a directory`)
  checkOwner(found, full)
  if ((found.mode & (closed === 'private' ? 0o077 : 0o022)) !== 0) {
    throw new DeliveryError('not_private', `${full} has mode ${octal(found)}: others must have no part in it`)
  }
  if (closed === 'private') await checkAbove(full)
}

/** The directories above `path`: nobody but root, `owners` and we may change them, or, where the sticky bit is, what is ours in them. */
export async function checkAbove(path: string, owners: readonly number[] = []): Promise<void> {
  for (let above = dirname(resolve(path)); ; above = dirname(above)) {
    const found = await inspect(above)
    // A link may lead anywhere, and is itself a name in the directory above, which is checked next; what it leads to is not seen here.
    if (!found || found.isSymbolicLink()) {
      throw new DeliveryError('wrong_file_type', `${above} is a symbolic link: name the directory itself`)
    }
    checkOwner(found, above, owners)
    if ((found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0) {
      throw new DeliveryError('not_private', `${above} has mode ${octal(found)}: others can move what is in it`)
    }
    if (above === dirname(above)) return
  }
}

/**
 * Reads a file that only its owner may read.
 *
 * @throws {@link DeliveryError} `no_delivery`, `wrong_file_type`, `wrong_owner`, `not_private`, `malformed_delivery` when longer than `maxBytes`
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<Uint8Array> {
  // Without waiting for somebody to open the other end, where it is a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((cause) => {
    if (isCode(cause, 'ENOENT')) throw new DeliveryError('no_delivery', `there is no ${path}`, { cause })
    if (isCode(cause, 'ELOOP')) throw new DeliveryError('wrong_file_type', `${path} is a symbolic link`, { cause })
    if (isCode(cause, 'ENXIO')) throw new DeliveryError('wrong_file_type', `${path} is not a file`, { cause })
    if (isCode(cause, 'EACCES')) throw new DeliveryError('wrong_owner', `${path} is not ours to read`, { cause })
    throw cause
  })
  try {
    // Of the open file: what a name leads to may change between two questions.
    const found = await file.stat()
    if (!found.isFile()) throw new DeliveryError('wrong_file_type', `${path} is not a file`)
    checkOwner(found, path)
    if ((found.mode & 0o077) !== 0) {
      throw new DeliveryError('not_private', `${path} has mode ${octal(found)}: others must have no part in it`)
    }
    if (found.size > maxBytes) throw new DeliveryError('malformed_delivery', `${path} has ${found.size} bytes`)
    const bytes = new Uint8Array(found.size)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    if (bytesRead !== bytes.length) throw new DeliveryError('malformed_delivery', `${path} ends early`)
    return bytes
  } finally {
    await file.close()
  }
}

function checkOwner({ uid }: Stats, path: string, others: readonly number[] = []): void {
  // Windows has no owners of this kind, and a mode there says nothing.
  if (process.geteuid === undefined || [0, process.geteuid(), ...others].includes(uid)) return
  throw new DeliveryError('wrong_owner', `${path} belongs to user ${uid}`)
}

function octal({ mode }: Stats): string {
  return `0${(mode & 0o7777).toString(8)}`
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '')
}
