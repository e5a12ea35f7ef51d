/**
 * Reading a delivery directory (`delivery/directory.ts` draws it) without ever seeing two versions mixed.
 *
 * `current` is resolved once, and every file is read below what it led to. A version that is swept away meanwhile is two deliveries old,
 * so reading begins again, with the newest one.
 *
 * @module
 */
import { join } from 'node:path'
import { fromUtf8 } from '../../merkle/index.ts'
import { MAX_BUNDLE_BYTES } from '../../provenance/index.ts'
import { parsePrivateJwk } from '../../statement/index.ts'
import {
  type Closed,
  CURRENT,
  checkDirectory,
  DeliveryError,
  FILE_NAMES,
  isVersion,
  readLink,
  readPrivateFile,
} from '../delivery/index.ts'
import { type Arrived, checkArrived, type Expected, type OwnCredential } from './credential.ts'

const MAX_TEXT_BYTES = 256 * 1024
const MAX_TRIES = 5

export interface FromDirectory extends OwnCredential {
  /** Of the version that was read: another one means another credential. */
  readonly version: string
}

/**
 * Loads what was delivered to `directory`, and checks it.
 *
 * @param closed how closed the directory must be; `private` unless said otherwise. The files in it always are.
 * @throws DeliveryError `no_delivery`, `not_private`, `wrong_owner`, `wrong_file_type`, `malformed_delivery`, and those of `checkArrived`
 */
export async function loadFromDirectory(
  directory: string,
  expected: Expected,
  closed: Closed = 'private',
): Promise<FromDirectory> {
  await checkDirectory(directory, closed)
  for (let tries = 1; ; tries++) {
    const version = await currentVersion(directory)
    if (version === undefined) throw new DeliveryError('no_delivery', `nothing was delivered to ${directory} yet`)
    try {
      return { ...(await checkArrived(await readVersion(join(directory, version), closed), expected)), version }
    } catch (error) {
      const swept = error instanceof DeliveryError && error.code === 'no_delivery'
      if (!swept || tries === MAX_TRIES || (await currentVersion(directory)) === version) throw error
    }
  }
}

/** What `current` leads to now. @throws DeliveryError `malformed_delivery` for a link to anything but a version */
export async function currentVersion(directory: string): Promise<string | undefined> {
  const version = await readLink(join(directory, CURRENT))
  if (version !== undefined && !isVersion(version)) {
    throw new DeliveryError('malformed_delivery', `${join(directory, CURRENT)} does not lead to a version`)
  }
  return version
}

async function readVersion(directory: string, closed: Closed): Promise<Arrived> {
  // Those above it were looked at already, and this one lies in a directory that only its owner changes.
  await checkDirectory(directory, closed === 'private' ? 'private' : 'unchangeable')
  const read = (name: string, maxBytes: number) => readPrivateFile(join(directory, name), maxBytes)
  const text = fromUtf8(
    (await optional(read(FILE_NAMES.wit, MAX_TEXT_BYTES))) ?? (await read(FILE_NAMES.wic, MAX_TEXT_BYTES)),
  )
  const bundle = await read(FILE_NAMES.bundle, MAX_BUNDLE_BYTES)
  const trustBundle = await optional(read(FILE_NAMES.trustBundle, MAX_TEXT_BYTES))
  const key = await optional(read(FILE_NAMES.key, MAX_TEXT_BYTES))
  return {
    text,
    bundle,
    ...(trustBundle && { trustBundle: fromUtf8(trustBundle) }),
    ...(key && { key: parseKey(key) }),
  }
}

async function optional(reading: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof DeliveryError && error.code === 'no_delivery') return undefined
    throw error
  }
}

/** Without a cause: the parser's message quotes the file. */
export function parseKey(bytes: Uint8Array) {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(bytes))
  } catch {
    throw new DeliveryError('malformed_delivery', 'the key is not JSON')
  }
  return parsePrivateJwk(value)
}
