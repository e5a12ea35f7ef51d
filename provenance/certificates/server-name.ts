/**
 * Whether a certificate is for the name that somebody connected to (RFC 9525 §6).
 *
 *     connected to          taken                            not taken
 *     log.example           DNS log.example, *.example       CN=log.example, DNS *.log.example, l*.example
 *     127.0.0.1             IP 127.0.0.1                     DNS 127.0.0.1
 *
 * The subject is never looked at: what stands there nobody promised to be a host name. Nor is a workload identifier, whose
 * trust domain only looks like one.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import type { Certificate } from './certificate.ts'

/**
 * @param host - as in a URL, without brackets: a DNS name in ASCII, or an address
 * @throws {@link ProvenanceError} `server_name_mismatch`
 */
export function checkServerName({ names }: Certificate, host: string): void {
  const address = addressBytes(host)
  const wanted = host.toLowerCase().replace(/\.$/, '')
  const found = names.some((name) => {
    if (address) return name.kind === 'ip' && equalBytes(name.bytes, address)
    return name.kind === 'dns' && matches(name.text.toLowerCase(), wanted)
  })
  if (!found) throw new ProvenanceError('server_name_mismatch', `a certificate that is not for ${host}`)
}

/** A wildcard is the whole of the first label, and stands for one label (§6.3). */
function matches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === host && !pattern.includes('*')
  const [, ...rest] = host.split('.')
  // One that stood for all names of a public suffix is no name of anybody.
  return rest.length >= 2 && rest.join('.') === pattern.slice(2) && !pattern.slice(2).includes('*')
}

/** The 4 or 16 bytes of an address; undefined for a name. */
function addressBytes(host: string): Uint8Array | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return Uint8Array.from(host.split('.'), Number)
  if (!host.includes(':')) return undefined
  const [head, tail] = host.replace(/%.*$/, '').split('::') as [string, string?]
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const all = [...before, ...Array<number>(zeros).fill(0), ...after]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}
