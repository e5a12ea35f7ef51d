/**
 * What a policy can tell apart, and what it decided before about the same.
 *
 * An issuer decides on each renewal of each workload, and of all facts mostly the age of a result has changed, by which hardly any decision
 * changes. Cedar reads a context by member access alone: so a policy that names a member nowhere decides the same whatever it is, and one that
 * only compares it with numbers decides the same between two of them.
 *
 *     context.attestation.ageSeconds <= 900        compared: …, 900, …           899 and 3 are the same, 900 is another, and so is 901
 *     context.workload.failed.isEmpty()            read: the whole value
 *     context.attestation.claims has hardware      asked for: whether it is there
 *     context.attestation == context.workload      read: all of both
 *
 * Whatever the analysis does not recognize counts as read. Of the rest the key still has the shape, by which the engine accepts or refuses a
 * context. `test/provenance/issuance/issuance-memory.test.ts` holds what is remembered against what the engine says.
 *
 * @module
 */
import { canonicalJson, type Json, type JsonObject } from '../json.ts'

/** Which parts of the context the conditions of a policy set depend on. Paths are member names. */
export interface Reads {
  readonly values: readonly Path[]
  readonly presence: readonly Path[]
  /** With the numbers that each is compared with, ascending. */
  readonly compared: readonly { readonly path: Path; readonly numbers: readonly number[] }[]
}

export type Path = readonly string[]

/** @param conditions - the bodies of all conditions of all policies, as Cedar's JSON policy format has them */
export function readsOf(conditions: readonly unknown[]): Reads {
  const values = new Map<string, Path>()
  const presence = new Map<string, Path>()
  const compared = new Map<string, { path: Path; numbers: Set<number> }>()
  const nameOf = (path: Path) => JSON.stringify(path)

  function visit(node: unknown): void {
    if (typeof node !== 'object' || node === null) return
    const path = pathOf(node)
    if (path) {
      values.set(nameOf(path), path)
      return
    }
    const has = operandsOf(node, 'has')
    const owner = has && pathOf(has['left'])
    if (owner && typeof has['attr'] === 'string') {
      const asked = [...owner, has['attr']]
      presence.set(nameOf(asked), asked)
      return
    }
    for (const operator of COMPARISONS) {
      const comparison = comparisonIn(operandsOf(node, operator))
      if (!comparison) continue
      const name = nameOf(comparison.path)
      const known = compared.get(name) ?? { path: comparison.path, numbers: new Set() }
      compared.set(name, known)
      known.numbers.add(comparison.number)
      return
    }
    for (const inner of Object.values(node)) visit(inner)
  }

  for (const condition of conditions) visit(condition)
  return {
    values: [...values.values()],
    presence: [...presence.values()],
    compared: Array.from(compared.values(), ({ path, numbers }) => ({
      path,
      numbers: [...numbers].sort((a, b) => a - b),
    })),
  }
}

/** The same text for two contexts that a policy which reads so much cannot tell apart, and that the engine both takes or both refuses. */
export function tellingPart(reads: Reads, context: JsonObject): string {
  const parts = [shapeOf(context)]
  for (const path of reads.values) parts.push(textOf(valueAt(context, path)))
  for (const path of reads.presence) parts.push(String(valueAt(context, path) !== undefined))
  for (const { path, numbers } of reads.compared) {
    const value = valueAt(context, path)
    parts.push(typeof value === 'number' ? placeAmong(numbers, value) : textOf(value))
  }
  // None of them has a line break in it: JSON escapes those.
  return parts.join('\n')
}

/** Last decisions, of one policy. The oldest goes. */
export class Decisions<T> {
  readonly #known = new Map<string, T>()

  of(key: string, decide: () => T): T {
    const before = this.#known.get(key)
    if (before !== undefined) return before
    const decision = decide()
    if (key.length > MAX_KEY) return decision
    if (this.#known.size === MAX_DECISIONS) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, decision)
    return decision
  }
}

const MAX_DECISIONS = 1024
/** Characters. A policy that reads more of a large workload is asked each time. */
const MAX_KEY = 8192

const COMPARISONS = ['<', '<=', '>', '>=']

/** Of `context.a.b`; of `context` itself no names. Undefined for anything else. */
function pathOf(node: unknown): Path | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  if ('Var' in node) return node.Var === 'context' && Object.keys(node).length === 1 ? [] : undefined
  const access = operandsOf(node, '.')
  const owner = access && pathOf(access['left'])
  return owner && typeof access['attr'] === 'string' ? [...owner, access['attr']] : undefined
}

/** A member against a number, in either order. */
function comparisonIn(operands: Operands | undefined): { path: Path; number: number } | undefined {
  if (!operands) return undefined
  const { left, right } = operands
  const path = pathOf(left) ?? pathOf(right)
  const number = numberIn(left) ?? numberIn(right)
  return path && number !== undefined ? { path, number } : undefined
}

function numberIn(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('Value' in node)) return undefined
  return Number.isSafeInteger(node.Value) ? (node.Value as number) : undefined
}

type Operands = Readonly<Record<string, unknown>>

/** What a node `{operator: operands}` applies the operator to. */
function operandsOf(node: object, operator: string): Operands | undefined {
  const [name, ...more] = Object.keys(node)
  const operands: unknown = name === operator && more.length === 0 ? (node as Operands)[operator] : undefined
  return typeof operands === 'object' && operands !== null ? (operands as Operands) : undefined
}

function valueAt(context: JsonObject, path: Path): Json | undefined {
  let value: Json | undefined = context
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as JsonObject)[name]
  }
  return value
}

function textOf(value: Json | undefined): string {
  return value === undefined ? 'absent' : canonicalJson(value)
}

/** How many of `numbers` are below, and whether it is one of them. */
function placeAmong(numbers: readonly number[], value: number): string {
  const below = numbers.filter((each) => each < value).length
  return numbers[below] === value ? `at ${below}` : `before ${below}`
}

/** By which a schema judges it: names, and the type under each. */
function shapeOf(value: Json): string {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return 'i'
  if (typeof value === 'string') return 's'
  if (typeof value === 'boolean') return 'b'
  if (Array.isArray(value)) return `[${[...new Set(value.map(shapeOf))].sort().join()}]`
  if (typeof value !== 'object' || value === null) return canonicalJson(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${shapeOf((value as JsonObject)[name]!)}`).join(',')}}`
}
