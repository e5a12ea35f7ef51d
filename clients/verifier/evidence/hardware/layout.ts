/**
 * Binary layouts as tables: for each field where it begins and how long it is, beside the section of the specification. Whoever reads
 * a table can check it against the document, which a sequence of reads would not allow.
 *
 * @module
 */
import { malformedEvidence } from '../../error.ts'

export type Layout = Readonly<Record<string, readonly [at: number, bytes: number]>>
export type Fields<L extends Layout> = { readonly [Name in keyof L]: Uint8Array }

/** The fields of `layout`, as views. @throws {@link VerifierError} `malformed_evidence` where `bytes` do not reach that far */
export function fieldsOf<L extends Layout>(bytes: Uint8Array, layout: L): Fields<L> {
  const fields: Record<string, Uint8Array> = {}
  for (const [name, [at, length]] of Object.entries(layout)) {
    if (at + length > bytes.length) throw malformedEvidence(`${bytes.length} bytes end before ${name}`)
    fields[name] = bytes.subarray(at, at + length)
  }
  return fields as Fields<L>
}

/** Little-endian, at most six bytes. */
export function unsigned(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0)
}

/** Bits are counted from the least significant of the first byte on, as in little-endian numbers. */
export function hasBit(bytes: Uint8Array, bit: number): boolean {
  return ((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

/** @throws {@link VerifierError} `malformed_evidence` where a field that the specification reserves is in use */
export function checkZero(fields: Readonly<Record<string, Uint8Array>>): void {
  for (const [name, bytes] of Object.entries(fields)) {
    if (!isZero(bytes)) throw malformedEvidence(`${name} must be zero`)
  }
}

/** Takes pieces one after another, where lengths stand in the data. */
export class ByteReader {
  #at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get at(): number {
    return this.#at
  }

  /** @throws {@link VerifierError} `malformed_evidence` */
  take(length: number, what: string): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw malformedEvidence(`it ends in ${what}`)
    const piece = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return piece
  }

  /** A little-endian number. */
  number(length: 1 | 2 | 4, what: string): number {
    return unsigned(this.take(length, what))
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at, 'the rest')
  }

  /** @throws {@link VerifierError} `malformed_evidence` when something is left */
  end(what: string): void {
    if (this.#at !== this.#bytes.length) throw malformedEvidence(`bytes after ${what}`)
  }
}
