/**
 * What somebody wants to be told of when it is on a log, compared whole: no patterns, for a pattern that is wrong watches nothing.
 *
 *     {
 *       "identifiers": ["spiffe://bank.example/payments"],      as whom a credential is issued, or a key authorized
 *       "policies": ["payments"],                               as their signers call them
 *       "issuers": ["spiffe://bank.example/issuer"],            who says that he signed
 *       "keys": ["…RFC 9679 or RFC 7638 thumbprint…"]           that sign, are authorized, or are a workload's
 *     }
 *
 * Subjects and keys of workloads are sealed: they are seen only with a key that opens them.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { isJsonObject, parseJson, parseWorkloadIdentifier } from '../../provenance/index.ts'
import { MonitorError } from './error.ts'
import type { Seen } from './follow.ts'

export interface Watched {
  readonly watched: Seen['watched']
  readonly value: string
}

const MEMBERS: Readonly<Record<string, Seen['watched']>> = {
  identifiers: 'identifier',
  policies: 'policy',
  issuers: 'issuer',
  keys: 'key',
}
const MAX_WATCHED = 1024
const MAX_BYTES = 1024 * 1024
const MAX_VALUE = 2048

/** @throws {@link MonitorError} `malformed_watch` */
export function parseWatch(file: Uint8Array): Watched[] {
  if (file.length > MAX_BYTES) throw refuse(`longer than ${MAX_BYTES} bytes`)
  let document: ReturnType<typeof parseJson>
  try {
    document = parseJson(fromUtf8(file))
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new MonitorError('malformed_watch', cause.message, { cause })
  }
  if (!isJsonObject(document)) throw refuse('not an object')
  const list: Watched[] = []
  for (const [name, values] of Object.entries(document)) {
    if (!Object.hasOwn(MEMBERS, name)) throw refuse(`${JSON.stringify(name.slice(0, 64))} is not known`)
    if (!Array.isArray(values)) throw refuse(`${name} is not a list`)
    for (const value of values as readonly unknown[]) {
      if (typeof value !== 'string' || value === '' || value.length > MAX_VALUE) {
        throw refuse(`${name} has something that is no text of 1 to ${MAX_VALUE} characters`)
      }
      if (name === 'identifiers') checkIdentifier(value)
      list.push({ watched: MEMBERS[name]!, value })
    }
  }
  if (list.length > MAX_WATCHED) throw refuse(`more than ${MAX_WATCHED} values`)
  if (new Set(list.map(watchKey)).size !== list.length) throw refuse('a value is listed twice')
  return list
}

/** As which it is remembered. */
export function watchKey({ watched, value }: Watched): string {
  return `${watched}:${value}`
}

/** A misspelt one would be watched for, in vain. */
function checkIdentifier(value: string): void {
  try {
    parseWorkloadIdentifier(value)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new MonitorError('malformed_watch', `identifiers: ${cause.message}`, { cause })
  }
}

function refuse(why: string): MonitorError {
  return new MonitorError('malformed_watch', `the watch file: ${why}`)
}
