/**
 * The audit line: who did what here, whatever came of it. One JSON object on a line for each request of a caller who is known, for
 * each that was refused for not being whom it said, and for whatever was appended.
 *
 *     {"type":"provlog-access/1","at":1785155800,"request":"9f3c21ab77e0415d","who":"spiffe://bank.example/issuer","by":"mtls","credential":"5e3f…",
 *      "operation":"register","status":201,"index":8,"entry":"77ab…"}
 *
 * `who` was validated, or is null. What was only claimed is under `asserted` and nowhere else. There is no path, no header and no
 * text of a client's in it but that one, which is cut and has to be read as an identifier.
 *
 * @module
 */
import type { ProblemCode } from '../problem.ts'
import type { Caller } from './caller.ts'

export interface AuditLine {
  /** POSIX seconds. */
  readonly at: number
  /** What an answer of 500 names, too. */
  readonly request: string
  /** Nobody is `who: null`. */
  readonly caller: Caller
  /** `operationId` of the API's description; null where the path or the method is none of it. */
  readonly operation: string | null
  /** Where it came to the address for admins. */
  readonly listener: 'admin' | undefined
  readonly status: number
  /** Why it was refused. */
  readonly code: ProblemCode | undefined
  readonly appended: Appended | undefined
}

/** What became of what was brought. */
export interface Appended {
  readonly index?: number
  /** Hex. */
  readonly entry?: string
  /** It was on the log before. */
  readonly duplicate?: boolean
  /** Of a batch: indexes as ranges, `8-250,252`, and how many were refused, by code. */
  readonly indexes?: string
  readonly refused?: Readonly<Record<string, number>>
}

const TYPE = 'provlog-access/1'

/**
 * The line, with its end. As `JSON.stringify` would write it, in a third of the time: all but what is said of the caller is ours, or of a grammar
 * of ours as the id of a request, and has nothing in it to be escaped; and of a caller who stays, it is the same each time.
 */
export function lineText(line: AuditLine): string {
  const { operation, listener, code, appended } = line
  let text = `{"type":"${TYPE}","at":${line.at},"request":"${line.request}",${callerText(line.caller)},"operation":`
  text += operation === null ? 'null' : `"${operation}"`
  if (listener !== undefined) text += `,"listener":"${listener}"`
  text += `,"status":${line.status}`
  if (code !== undefined) text += `,"code":"${code}"`
  if (appended !== undefined) text += appendedText(appended)
  return `${text}}\n`
}

function appendedText({ index, entry, duplicate, indexes, refused }: Appended): string {
  let text = ''
  if (index !== undefined) text += `,"index":${index}`
  if (entry !== undefined) text += `,"entry":"${entry}"`
  if (duplicate) text += ',"duplicate":true'
  if (indexes !== undefined) text += `,"indexes":"${indexes}"`
  if (refused !== undefined) text += `,"refused":${JSON.stringify(refused)}`
  return text
}

/** Instead of lines there was no room for. */
export function lostText(at: number, lost: number): string {
  return `{"type":"${TYPE}","at":${at},"lost":${lost}}\n`
}

/** Of each caller, who is one object for as long as a connection is believed. */
const callerTexts = new WeakMap<Caller, string>()

function callerText(caller: Caller): string {
  const known = callerTexts.get(caller)
  if (known !== undefined) return known
  const { identifier, by, via, trustDomain, credential, asserted } = caller
  const text = JSON.stringify({ who: identifier ?? null, by, via, trustDomain, credential, asserted }).slice(1, -1)
  callerTexts.set(caller, text)
  return text
}

/** `8-250,252`: indexes of a batch, ascending. */
export function rangesOf(indexes: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && index <= last[1] + 1) last[1] = index
    else ranges.push([index, index])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join()
}
