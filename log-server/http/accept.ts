/**
 * The `Accept` header (RFC 9110 §12.5.1), read in one place.
 *
 * Nobody is answered with 406: what is here has one form each, the header may be disregarded (§15.5.7), and a browser that asks for
 * HTML is better served with a download than with a refusal. So the header only chooses among names, and between two forms of an error.
 *
 * @module
 */

/** Media types and ranges in lower case, without parameters, with the highest weight that each was given. */
export type Accepted = ReadonlyMap<string, number>

const MAX_LENGTH = 1024
const WEIGHT = /^q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/

/** What is not as the grammar has it weighs nothing. */
export function parseAccept(header = ''): Accepted {
  const accepted = new Map<string, number>()
  for (const element of header.slice(0, MAX_LENGTH).split(',')) {
    const [range = '', ...parameters] = element.split(';').map((part) => part.trim().toLowerCase())
    const given = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = given === undefined ? 1 : Number(WEIGHT.exec(given)?.[1] ?? 0)
    if (range !== '') accepted.set(range, Math.max(weight, accepted.get(range) ?? 0))
  }
  return accepted
}

/** The weight of `type`: its own, or that of the narrowest range around it. */
export function weightOf(type: string, accepted: Accepted): number {
  const range = `${type.slice(0, type.indexOf('/'))}/*`
  return accepted.get(type) ?? accepted.get(range) ?? accepted.get('*/*') ?? 0
}

/** The highest weight among the types that `accepted` names and `wanted` matches; ranges name nothing. */
export function weightNamed(wanted: RegExp, accepted: Accepted): number {
  let highest = 0
  for (const [type, weight] of accepted) if (wanted.test(type)) highest = Math.max(highest, weight)
  return highest
}
