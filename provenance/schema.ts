/**
 * Shapes of CBOR maps, as values: one declaration gives the TypeScript type, the strict reader and the writer.
 *
 *     const sbom = map({ required: { format: text(), digest: bytes(32) }, optional: { serialNumber: text() } })
 *     type Sbom = Infer<typeof sbom>      // { readonly format: string; readonly digest: Uint8Array; readonly serialNumber?: string }
 *     sbom.decode(value, 'sbom')          // or throws `malformed_record`: "sbom.digest must be 32 bytes"
 *
 * Everything is bounded, and nothing unknown is let through: a field that we would ignore is a field in which
 * a signer could tell two readers two different things. Keys are the property names, so there is no mapping layer.
 *
 * @module
 */
import { EvidenceError } from '../merkle/error.ts'
import type { CborValue } from '../statement/cbor.ts'
import { ProvenanceError } from './error.ts'

/** One shape. */
export interface Schema<T> {
  /**
   * `value` as a `T`. `path` says where it stands, for the message.
   *
   * @throws {@link ProvenanceError} `malformed_record`
   */
  decode(value: CborValue, path: string): T
  /** The inverse. Checks nothing: what is written is read again by whoever writes it. */
  encode(value: T): CborValue
}

/** The type that a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never

/** The fields of a map by name. */
export type Shape = Readonly<Record<string, Schema<unknown>>>

/** What {@link map} describes: `R` always there, `O` left out when there is nothing to say. */
export type Fields<R, O> = Flat<{ readonly [K in keyof R]: Infer<R[K]> } & { readonly [K in keyof O]?: Infer<O[K]> }>
type Flat<T> = { [K in keyof T]: T[K] }

/** Text of 1 to `max` UTF-16 units (256 when not said), of one line unless `lines` says otherwise. */
export function text({ max = 256, lines = false }: { max?: number; lines?: boolean } = {}): Schema<string> {
  return {
    decode(value, path) {
      if (typeof value !== 'string') throw malformed(path, 'must be text')
      if (value.length === 0 || value.length > max) throw malformed(path, `must be 1 to ${max} characters`)
      // One line of a record shown to somebody must not forge a second one.
      if (!lines && hasControls(value)) throw malformed(path, 'must not contain control characters')
      return value
    },
    encode: itself,
  }
}

/** An integer from `min` to `max`, 2⁵³ − 1 when not said. */
export function uint({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}): Schema<number> {
  return {
    decode(value, path) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
        const most = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`
        throw malformed(path, `must be an integer from ${min}${most}`)
      }
      return value
    },
    encode: itself,
  }
}

/** Bytes: exactly so many, or 1 to `max`. */
export function bytes(length: number | { readonly max: number }): Schema<Uint8Array> {
  const [min, max] = typeof length === 'number' ? [length, length] : [1, length.max]
  return {
    decode(value, path) {
      if (!(value instanceof Uint8Array)) throw malformed(path, 'must be bytes')
      if (value.length < min || value.length > max) {
        throw malformed(path, min === max ? `must be ${min} bytes` : `must be ${min} to ${max} bytes`)
      }
      return value
    },
    encode: itself,
  }
}

export function bool(): Schema<boolean> {
  return {
    decode(value, path) {
      if (typeof value !== 'boolean') throw malformed(path, 'must be true or false')
      return value
    },
    encode: itself,
  }
}

/** One of these words. */
export function oneOf<const T extends string>(...words: readonly T[]): Schema<T> {
  return {
    decode(value, path) {
      const word = words.find((each) => each === value)
      if (word === undefined) throw malformed(path, `must be one of ${words.join(', ')}`)
      return word
    },
    encode: itself,
  }
}

/** `min` (0 when not said) to `max` elements. */
export function list<T>(of: Schema<T>, { min = 0, max }: { min?: number; max: number }): Schema<readonly T[]> {
  return {
    decode(value, path) {
      if (!Array.isArray(value)) throw malformed(path, 'must be an array')
      const elements: readonly CborValue[] = value
      if (elements.length < min || elements.length > max) throw malformed(path, `must have ${min} to ${max} elements`)
      return elements.map((element, i) => of.decode(element, `${path}[${i}]`))
    },
    encode: (values) => values.map((value) => of.encode(value)),
  }
}

/** A map whose keys are the signer's words: 0 to `max` of them, each a text as of {@link text}. */
export function dictionary<T>(of: Schema<T>, { max }: { max: number }): Schema<ReadonlyMap<string, T>> {
  const word = text()
  return {
    decode(value, path) {
      if (!(value instanceof Map)) throw malformed(path, 'must be a map')
      const entries: ReadonlyMap<unknown, CborValue> = value
      if (entries.size > max) throw malformed(path, `must have at most ${max} keys`)
      return new Map(
        Array.from(entries, ([key, inner]) => {
          const name = word.decode(key as CborValue, `a key of ${path}`)
          return [name, of.decode(inner, `${path}.${name}`)]
        }),
      )
    },
    encode: (values) => new Map(Array.from(values, ([key, value]) => [key, of.encode(value)])),
  }
}

/** A map with these keys and no others, but for those of `beside`, which somebody else reads. */
export function map<R extends Shape, O extends Shape = Record<never, never>>(shape: {
  readonly required: R
  readonly optional?: O
  readonly beside?: readonly string[]
}): Schema<Fields<R, O>> {
  const required = Object.entries(shape.required).map(([key, schema]) => ({ key, schema, isRequired: true }))
  const optional = Object.entries(shape.optional ?? {}).map(([key, schema]) => ({ key, schema, isRequired: false }))
  const members = [...required, ...optional]
  const written = members.toSorted((a, b) => byEncoding(a.key, b.key))
  const beside = shape.beside ?? []
  const isKnown = (key: unknown) => beside.includes(key as string) || members.some((member) => member.key === key)
  return {
    decode(value, path) {
      if (!(value instanceof Map)) throw malformed(path, 'must be a map')
      const entries: ReadonlyMap<unknown, CborValue> = value
      const fields: Record<string, unknown> = {}
      let known = 0
      for (const key of beside) if (entries.has(key)) known++
      // By the shape and not by the entries, of which each would be an array of its own.
      for (const { key, schema, isRequired } of members) {
        const inner = entries.get(key)
        if (inner !== undefined) {
          fields[key] = schema.decode(inner, join(path, key))
          known++
        } else if (isRequired) throw malformed(join(path, key), 'is missing')
      }
      if (known < entries.size) {
        const key = Array.from(entries.keys()).find((each) => !isKnown(each))
        throw malformed(path, `must not have the key ${JSON.stringify(String(key).slice(0, 64))}`)
      }
      return fields as Fields<R, O>
    },
    encode(values) {
      const given = values as Readonly<Record<string, unknown>>
      const entries = new Map<string, CborValue>()
      for (const { key, schema } of written) {
        const value = given[key]
        if (value !== undefined) entries.set(key, schema.encode(value))
      }
      return entries
    },
  }
}

/** The order of two keys in deterministic CBOR, for names in ASCII: what is written in it need not be moved, a whole statement with it. */
export function byEncoding(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

/** `schema`, and `check` has no objection: it throws {@link EvidenceError} to refuse. */
export function refine<T>(schema: Schema<T>, check: (value: T) => void): Schema<T> {
  return {
    decode(value, path) {
      const decoded = schema.decode(value, path)
      try {
        check(decoded)
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error
        throw malformed(path, `does not hold: ${error.message}`, error)
      }
      return decoded
    },
    encode: (value) => schema.encode(value),
  }
}

export function malformed(path: string, complaint: string, cause?: EvidenceError): ProvenanceError {
  return new ProvenanceError('malformed_record', `${path} ${complaint}`, cause && { cause })
}

function itself<T extends CborValue>(value: T): CborValue {
  return value
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

function hasControls(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) < 0x20 || value.charCodeAt(i) === 0x7f) return true
  return false
}
