/**
 * Rows on their way into a table of DuckDB.
 *
 * ```
 *   numbers, flags, words    ──▶ a typed array for each column ──copied when 2048 rows are there──▶ ┐
 *   text, bytes              ──▶ the engine, at once: a call into C++ for each, some 0.5 µs ─────────▶ chunk ──▶ appender
 *   what is NULL             ──▶ a bit for each row ─────────────────────────────────────────────▶ ┘
 * ```
 *
 * By the engine's own functions, and not by the vectors that `@duckdb/node-api` makes of a chunk: those hold a `bigint` for each number and
 * compute with one for each NULL, and keep every value until the chunk is full, which made the collector the most expensive part of an audit
 * (34 of 105 µs an entry; with the making of rows and all, filling took 42 µs on a busy machine and takes 28). A word of a closed list is an
 * ENUM, which is a small number: four links a record
 * would otherwise cost more than the record.
 *
 * @module
 */
import duckdb, { type DataChunk, type LogicalType, type Vector } from '@duckdb/node-bindings'
import type { Cell, Column, ColumnType, Row } from './cells.ts'

export type { DataChunk } from '@duckdb/node-bindings'

/** Of a chunk, at most: the engine's vectors have as many. */
const CHUNK_ROWS = 2048

/** Where chunks go: into the transaction that is open when it is flushed. */
export interface Appender {
  append(chunk: DataChunk): void
  flush(): void
}

export class TableWriter {
  readonly #types: readonly ColumnType[]
  readonly #appender: Appender
  readonly #named: (error: unknown) => unknown
  /** Made for the first row, and used again: most tables get none. */
  #chunk: DataChunk | undefined
  #columns: readonly ColumnWriter[] = []
  #length = 0

  /** @param named - what to throw for an error of the engine */
  constructor(columns: readonly Column[], appender: Appender, named: (error: unknown) => unknown) {
    this.#types = columns.map(({ type }) => type)
    this.#appender = appender
    this.#named = named
  }

  add(row: Row): void {
    if (row.length !== this.#types.length) throw new Error(`${row.length} cells for ${this.#types.length} columns`)
    this.#chunk ??= this.#makeChunk()
    for (let i = 0; i < row.length; i++) this.#columns[i]!.set(this.#length, row[i]!)
    if (++this.#length === CHUNK_ROWS) this.#flushChunk()
  }

  /** What was added is in the transaction then. */
  flush(): void {
    try {
      this.#flushChunk()
      this.#appender.flush()
    } catch (error) {
      throw this.#named(error)
    }
  }

  #makeChunk(): DataChunk {
    const chunk = duckdb.create_data_chunk(this.#types.map((type) => logicalTypeOf(type)))
    this.#columns = this.#types.map((type, i) => columnWriter(type, duckdb.data_chunk_get_vector(chunk, i)))
    return chunk
  }

  #flushChunk(): void {
    if (this.#chunk === undefined || this.#length === 0) return
    duckdb.data_chunk_set_size(this.#chunk, this.#length)
    for (const column of this.#columns) column.flush(this.#length)
    this.#appender.append(this.#chunk)
    duckdb.data_chunk_reset(this.#chunk)
    this.#length = 0
  }
}

/** One column of a chunk. */
interface ColumnWriter {
  set(row: number, cell: Cell): void
  /** Hands over the first `rows`, and is empty then. */
  flush(rows: number): void
}

function logicalTypeOf(type: ColumnType): LogicalType {
  if (typeof type === 'object') return duckdb.create_enum_type(type)
  const { BIGINT, VARCHAR, BLOB, BOOLEAN } = duckdb.Type
  return duckdb.create_logical_type({ integer: BIGINT, text: VARCHAR, bytes: BLOB, flag: BOOLEAN }[type])
}

function columnWriter(type: ColumnType, vector: Vector): ColumnWriter {
  const nulls = new Nulls(vector)
  switch (type) {
    case 'integer': {
      const words = new Uint32Array(2 * CHUNK_ROWS)
      const write = (row: number, cell: Cell) => writeInteger(words, row, cell as number)
      return new NumbersWriter(vector, nulls, words, 2, write)
    }
    case 'flag': {
      const bytes = new Uint8Array(CHUNK_ROWS)
      return new NumbersWriter(vector, nulls, bytes, 1, (row, cell) => {
        bytes[row] = cell === true ? 1 : 0
      })
    }
    case 'text':
      return {
        set: (row, cell) => {
          if (cell === null) nulls.set(row)
          else duckdb.vector_assign_string_element(vector, row, cell as string)
        },
        flush: () => nulls.flush(),
      }
    case 'bytes':
      return {
        set: (row, cell) => {
          if (cell === null) nulls.set(row)
          else duckdb.vector_assign_string_element_len(vector, row, cell as Uint8Array)
        },
        flush: () => nulls.flush(),
      }
    default: {
      const numbers = new Map(type.map((word, number) => [word, number]))
      // The engine takes the narrowest that has room for them.
      const places = type.length <= 0xff ? new Uint8Array(CHUNK_ROWS) : new Uint16Array(CHUNK_ROWS)
      return new NumbersWriter(vector, nulls, places, 1, (row, cell) => {
        const number = numbers.get(cell as string)
        if (number === undefined) throw new Error(`${String(cell)} is none of the words of its column`)
        places[row] = number
      })
    }
  }
}

/** Two's complement of 64 bits, in halves: a `bigint` for each would be garbage. */
function writeInteger(words: Uint32Array, row: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new Error(`${value} is no integer`)
  words[2 * row] = value
  words[2 * row + 1] = Math.floor(value / 2 ** 32)
}

class NumbersWriter implements ColumnWriter {
  readonly #vector: Vector
  readonly #nulls: Nulls
  readonly #values: Uint32Array | Uint16Array | Uint8Array
  readonly #rowBytes: number
  readonly #write: (row: number, cell: Cell) => void

  /** @param width elements of `values` for a row */
  constructor(
    vector: Vector,
    nulls: Nulls,
    values: Uint32Array | Uint16Array | Uint8Array,
    width: number,
    write: (row: number, cell: Cell) => void,
  ) {
    this.#vector = vector
    this.#nulls = nulls
    this.#values = values
    this.#rowBytes = values.BYTES_PER_ELEMENT * width
    this.#write = write
  }

  set(row: number, cell: Cell): void {
    if (cell === null) this.#nulls.set(row)
    else this.#write(row, cell)
  }

  flush(rows: number): void {
    duckdb.copy_data_to_vector(this.#vector, 0, this.#values.buffer as ArrayBuffer, 0, rows * this.#rowBytes)
    this.#nulls.flush()
  }
}

/** Which rows of a column have a value: a bit each, 1 where there is one. */
class Nulls {
  readonly #vector: Vector
  readonly #valid = new Uint32Array(CHUNK_ROWS / 32).fill(ALL_VALID)
  #any = false

  constructor(vector: Vector) {
    this.#vector = vector
  }

  set(row: number): void {
    this.#any = true
    this.#valid[row >> 5]! &= ~(1 << (row & 31))
  }

  flush(): void {
    if (!this.#any) return
    duckdb.vector_ensure_validity_writable(this.#vector)
    duckdb.copy_data_to_vector_validity(this.#vector, 0, this.#valid.buffer as ArrayBuffer, 0, this.#valid.byteLength)
    this.#valid.fill(ALL_VALID)
    this.#any = false
  }
}

const ALL_VALID = 0xffffffff
