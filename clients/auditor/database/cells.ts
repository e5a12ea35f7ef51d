/**
 * Tables as everybody here speaks of them, whoever keeps them.
 *
 * @module
 */

/** What a cell holds. */
export type Cell = null | boolean | number | string | Uint8Array

export type Row = readonly Cell[]

/** What a column holds. `integer` is of 64 bits; a list of words is a closed one. */
export type ColumnType = 'integer' | 'text' | 'bytes' | 'flag' | readonly string[]

export interface Column {
  readonly name: string
  readonly type: ColumnType
}

export interface Answer {
  readonly columns: readonly string[]
  readonly rows: AsyncIterable<Row>
}

/** The type as SQL writes it. */
export function sqlTypeOf(type: ColumnType): string {
  if (typeof type === 'object') return `ENUM (${type.map((word) => `'${word}'`).join(', ')})`
  return { integer: 'BIGINT', text: 'VARCHAR', bytes: 'BLOB', flag: 'BOOLEAN' }[type]
}
