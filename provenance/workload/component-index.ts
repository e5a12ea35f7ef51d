/**
 * The components of a bill of materials as policies and auditors ask for them: by package URL; where there is none, by name and version;
 * and by CPE.
 *
 * Nothing that names a component is skipped because it is malformed: a policy that forbids the component would not see it.
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import type { Json } from '../json.ts'
import { canonicalPurl } from './purl.ts'

export interface ComponentIndex {
  /** Package URLs in their canonical form, sorted, each once. */
  readonly components: readonly string[]
  /** Components without a package URL, sorted, each once. */
  readonly others: readonly OtherComponent[]
  /** CPE names (2.2 URIs and 2.3 formatted strings) of components of both kinds, in lower case, sorted, each once. */
  readonly cpes: readonly string[]
}

export interface OtherComponent {
  readonly name: string
  readonly version?: string
}

/** Of each of the three kinds. A sealed record could not carry more: see `docs/workload.md`. */
export const MAX_COMPONENTS = 8192

/** Longest name or version of a component, and longest CPE name, in characters. */
export const MAX_NAME_LENGTH = 512

/** One component as a document has it. Absent members are `undefined`; what is not a text is refused. */
export interface RawComponent {
  readonly name?: Json | undefined
  readonly version?: Json | undefined
  readonly purls: readonly Json[]
  readonly cpes: readonly Json[]
}

/** Gathers while a document is read. */
export class ComponentCollector {
  readonly #purls = new Set<string>()
  /** By name and version as JSON, so that no separator can be forged. */
  readonly #others = new Map<string, OtherComponent>()
  readonly #cpes = new Set<string>()

  /** @throws {@link ProvenanceError} `malformed_sbom` */
  add({ name, version, purls, cpes }: RawComponent): void {
    for (const purl of purls) this.#purls.add(canonical(purl))
    for (const cpe of cpes) this.#cpes.add(cpeOf(cpe))
    if (purls.length === 0) {
      const other = { name: text(name, 'the name of a component'), ...versionOf(version) }
      this.#others.set(JSON.stringify([other.name, other.version]), other)
    }
    if (Math.max(this.#purls.size, this.#others.size, this.#cpes.size) > MAX_COMPONENTS) {
      throw refuse(`more than ${MAX_COMPONENTS} components`)
    }
  }

  index(): ComponentIndex {
    return {
      components: [...this.#purls].sort(),
      others: [...this.#others].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, other]) => other),
      cpes: [...this.#cpes].sort(),
    }
  }
}

function canonical(purl: Json): string {
  if (typeof purl !== 'string') throw refuse('a package URL is not a text')
  try {
    return canonicalPurl(purl)
  } catch (cause) {
    if (!(cause instanceof ProvenanceError)) throw cause
    throw new ProvenanceError('malformed_sbom', cause.message, { cause })
  }
}

/** CPE is matched without regard to case (NISTIR 7696 §6.2). */
function cpeOf(value: Json): string {
  const cpe = text(value, 'a CPE name')
  if (!/^cpe:(?:2\.3:[aho*-]:|\/[aho]?:)/i.test(cpe))
    throw refuse(`${JSON.stringify(cpe.slice(0, 80))} is not a CPE name`)
  return cpe.toLowerCase()
}

function versionOf(version: Json | undefined): { version?: string } {
  return version === undefined || version === '' ? {} : { version: text(version, 'the version of a component') }
}

/** @throws {@link ProvenanceError} `malformed_sbom` */
export function text(value: Json | undefined, title: string): string {
  if (typeof value !== 'string' || value.length === 0) throw refuse(`${title} is not a text`)
  if (value.length > MAX_NAME_LENGTH) throw refuse(`${title} is longer than ${MAX_NAME_LENGTH} characters`)
  if (/\p{Cc}/u.test(value)) throw refuse(`${title} has control characters in it`)
  return value
}

/** Checks that `value` is a time of RFC 3339. @throws {@link ProvenanceError} `malformed_sbom` */
export function checkTime(value: Json | undefined, title: string): void {
  if (typeof value !== 'string' || !TIME.test(value)) throw refuse(`${title} is none`)
}

const TIME =
  /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T[0-9]{2}:[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})$/i

/** @throws {@link ProvenanceError} `malformed_sbom` */
export function checkHexDigits(value: string, digits: number, title: string): void {
  if (value.length !== digits || !/^[0-9a-f]*$/i.test(value)) throw refuse(`${title} that is none`)
}

/** @throws {@link ProvenanceError} `malformed_sbom` */
export function array(value: Json | undefined, title: string): readonly Json[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw refuse(`${title} is not a list`)
  return value
}

export function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_sbom', why)
}
