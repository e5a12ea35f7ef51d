/**
 * How much of a workload a decision needs to see.
 *
 * A workload has thousands of components and a policy asks about a few. The record of a decision seals what was decided on, and sealing
 * every component with every credential would make each as large as the bill of materials. So a long set is cut down to what the policy
 * can tell apart, before the decision is made:
 *
 *     every member that is equal to a text which the policy could compare it with: its own literals, and all other texts of the context
 *     of the others, one for each combination of long sets that they are in: the first in code-unit order
 *
 * The decision is the same as on the whole. Cedar can neither walk through a set nor count it. It asks whether a set contains a text, all or
 * any of another set, is equal to one, or is empty. Each of these depends only on which comparable texts are members, and on which
 * combinations of sets have members besides; both are kept. `test/provenance/issuance/issuance-context.test.ts` tries it against whole sets.
 *
 * Whoever checks a decision cuts down the facts of the workload's own record in the same way and must come to the very same context.
 *
 * @module
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'

/** The sets of `context.workload` that are as long as a workload is large. */
const LONG_SETS = ['components', 'releases', 'packages', 'others', 'cpes', 'materials'] as const

/**
 * @param context - all facts, as in the schema
 * @param askable - texts that the policy may compare members with: those in its text, and the attributes of the principal
 */
export function reduceContext(context: JsonObject, askable: ReadonlySet<string>): JsonObject {
  const { workload } = context
  if (!isJsonObject(workload)) return context
  const long = LONG_SETS.filter((name) => Array.isArray(workload[name]))
  const others = Object.fromEntries(Object.entries(workload).filter(([name]) => !isLong(name)))
  const comparable = new Set(askable)
  collectTexts({ ...context, workload: others }, comparable)

  // In which of the long sets each of the texts is that nothing is compared with, as bits.
  const places = new Map<string, number>()
  long.forEach((name, i) => {
    for (const text of textsOf(workload[name])) {
      if (!comparable.has(text)) places.set(text, (places.get(text) ?? 0) | (1 << i))
    }
  })
  const first = new Map<number, string>()
  for (const [text, place] of places) {
    const known = first.get(place)
    if (known === undefined || text < known) first.set(place, text)
  }
  const representatives = new Set(first.values())
  const kept = (text: string) => comparable.has(text) || representatives.has(text)
  const reduced = Object.fromEntries(long.map((name) => [name, textsOf(workload[name]).filter(kept)]))
  return { ...context, workload: { ...workload, ...reduced } }
}

function isLong(name: string): boolean {
  return (LONG_SETS as readonly string[]).includes(name)
}

function textsOf(set: Json | undefined): string[] {
  return Array.isArray(set) ? (set as readonly Json[]).filter((each) => typeof each === 'string') : []
}

/** Every text in a value, names of members too: one too many costs nothing but its place. */
export function collectTexts(value: unknown, texts: Set<string>): void {
  if (typeof value === 'string') texts.add(value)
  else if (Array.isArray(value)) for (const each of value) collectTexts(each, texts)
  else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      texts.add(name)
      collectTexts(inner, texts)
    }
  }
}
