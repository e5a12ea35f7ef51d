/**
 * Records that concern something named: for a monitor, which asks after every audit and about new records only.
 *
 * @module
 */
import { Questions } from './questions/ask.ts'

/** Of each kind, the rows in which it can stand: an `index`, beside `$value`. */
const WHERE = {
  identifier: `SELECT index FROM authorizations WHERE subject = $value
    UNION SELECT index FROM credentials WHERE subject = $value
    UNION SELECT index FROM denials WHERE subject = $value`,
  policy: 'SELECT index FROM policies WHERE policy_id = $value',
  issuer: "SELECT index FROM records WHERE state = 'record' AND issuer = $value",
  key: `SELECT index FROM records WHERE state = 'record' AND kid = $value
    UNION SELECT index FROM authorizations WHERE kid = $value OR encryption_kid = $value
    UNION SELECT index FROM credentials WHERE key_thumbprint = $value`,
} as const

export interface Asked {
  readonly watched: keyof typeof WHERE
  readonly value: string
  /** The first index that is of interest. */
  readonly from: number
}

export interface SeenRecords extends Pick<Asked, 'watched' | 'value'> {
  readonly count: number
  /** Indices. */
  readonly first: number
  readonly last: number
}

/** What of `asked` the audit in `directory` has seen. @throws as `Questions.open` */
export async function seenRecords(directory: string, asked: readonly Asked[]): Promise<SeenRecords[]> {
  const questions = await Questions.open(directory)
  try {
    const seen: SeenRecords[] = []
    for (const { watched, value, from } of asked) {
      const sql = `SELECT count(*), min(index), max(index) FROM (${WHERE[watched]}) WHERE index >= $from`
      const [row] = await questions.rows(sql, { value, from })
      const [count, first, last] = row as [number, number | null, number | null]
      if (first !== null && last !== null) seen.push({ watched, value, count, first, last })
    }
    return seen
  } finally {
    questions.close()
  }
}
