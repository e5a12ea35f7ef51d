/**
 * What the path of a Unix socket has to look like: for whoever listens there, and for whoever is about to tell it secrets.
 *
 * @module
 */
import { dirname, resolve } from 'node:path'
import { DeliveryError } from './error.ts'
import { checkAbove, inspect } from './files.ts'

/** sun_path of Linux is 108 bytes with its end; macOS has 104. */
const MAX_PATH_BYTES = 103

/**
 * Checks a socket before it is connected to. Whoever may change a directory above it can put his own there, so nobody but root and we may;
 * where everybody may (sticky, as /tmp), the socket's owner decides.
 *
 * @param owners - user ids whose sockets are believed; root's and our own always are
 * @throws {@link DeliveryError} `no_delivery`, `wrong_file_type`, `wrong_owner`, `not_private`
 */
export async function checkSocket(path: string, owners: readonly number[] = []): Promise<void> {
  checkSocketPath(path)
  const found = await inspect(path)
  if (!found) throw new DeliveryError('no_delivery', `nobody listens at ${path}`)
  if (!found.isSocket()) throw new DeliveryError('wrong_file_type', `${path} is not a socket`)
  await checkAbove(resolve(path), owners)
  if (![0, process.geteuid?.(), ...owners].includes(found.uid)) {
    throw new DeliveryError('wrong_owner', `${path} belongs to user ${found.uid}`)
  }
}

/** Checks where a socket is about to be made. @throws {@link DeliveryError} `no_delivery`, `wrong_owner`, `not_private`, … */
export async function checkSocketDirectory(path: string): Promise<void> {
  checkSocketPath(path)
  if (!(await inspect(dirname(resolve(path))))) {
    throw new DeliveryError('no_delivery', `there is no directory ${dirname(resolve(path))}`)
  }
  await checkAbove(resolve(path))
}

/** A longer path is cut off by the system without a word, and another socket is made. */
function checkSocketPath(path: string): void {
  if (Buffer.byteLength(resolve(path)) > MAX_PATH_BYTES || path.includes('\0')) {
    throw new DeliveryError('malformed_delivery', `a socket path has at most ${MAX_PATH_BYTES} bytes`)
  }
}
