/**
 * Who is at the other end of a Unix socket, in the kernel's word: SO_PEERCRED (unix(7)), fixed when the peer connected.
 *
 * Node does not offer it, so it is asked for through libc, by koffi. What was refused: a socket per user in a directory of that user
 * (only root can make those, and root writing into directories of others is the older mistake); a file that the peer is told to create (two
 * round trips, and a directory that everybody writes to); /proc/net/unix (names no peers); a token (which would have to be delivered).
 * Without koffi, or where it does not know the constants, the service does not start: no peer is believed unasked.
 *
 * The file descriptor is Node's own, from a property that is in no documentation. So the check is tried on ourselves first
 * (`local-api.ts`), and a Node that moves it makes the service refuse to start, not to answer.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { ServiceError } from './error.ts'

/** The user at the other end; undefined when the system does not say, and then nothing is given to it. */
export type PeerUid = (socket: Socket) => number | undefined

// asm-generic/socket.h. Alpha, MIPS, PA-RISC, PowerPC and SPARC have other numbers.
const GENERIC_ARCHITECTURES = ['x64', 'ia32', 'arm', 'arm64', 'riscv64', 'loong64']
const SOL_SOCKET = 1
const SO_PEERCRED = 17
/** struct ucred { pid_t pid; uid_t uid; gid_t gid; } */
const UCRED_BYTES = 12
const UID_OFFSET = 4

/** What the kernel shows for users of another user namespace that have no number here: several people, and so nobody. */
export const OVERFLOW_UID = 65_534

/** @throws {@link ServiceError} `peer_check_unavailable` */
export async function kernelPeerUid(): Promise<PeerUid> {
  if (process.platform !== 'linux' || !GENERIC_ARCHITECTURES.includes(process.arch)) {
    throw unavailable(`this is ${process.platform} on ${process.arch}, and SO_PEERCRED is known here for Linux only`)
  }
  const getsockopt = await loadGetsockopt()
  return (socket) => {
    const descriptor = descriptorOf(socket)
    if (descriptor === undefined) return undefined
    const [ucred, length] = [new Uint8Array(UCRED_BYTES), new Uint32Array([UCRED_BYTES])]
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0 || length[0] !== UCRED_BYTES) {
      return undefined
    }
    const uid = new Uint32Array(ucred.buffer, UID_OFFSET, 1)[0]!
    return uid === OVERFLOW_UID ? undefined : uid
  }
}

type Getsockopt = (socket: number, level: number, option: number, value: Uint8Array, length: Uint32Array) => number

async function loadGetsockopt(): Promise<Getsockopt> {
  try {
    const { default: koffi } = await import('koffi')
    // The C library that this process has loaded, whichever it is.
    return koffi.load(null).func('int getsockopt(int, int, int, void *, void *)')
  } catch (cause) {
    throw unavailable('the optional package koffi is not installed, or does not run here', { cause })
  }
}

function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } | null }
  const fd = handle?.fd
  return typeof fd === 'number' && Number.isInteger(fd) && fd >= 0 ? fd : undefined
}

function unavailable(why: string, options?: ErrorOptions): ServiceError {
  return new ServiceError('peer_check_unavailable', `no user can be told from another: ${why}`, options)
}
