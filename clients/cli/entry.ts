/**
 * Entries as people name them: the hex of their hash, or `0.<index>`.
 *
 * @module
 */
import { decodeEntryBundle, fromHex, type Hash, TILE_WIDTH, tileWidth } from '../../merkle/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import { UsageError } from './command.ts'

/** Lower-case hex. @throws {@link UsageError} */
export function parseEntryHash(text: string): Hash {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new UsageError(`an entry is 64 digits of lower-case hex here, not ${text}`)
  return fromHex(text)
}

/** Where the entry is, as the log says: whoever relies on it proves it. @throws {@link UsageError}; `RefusedError` with status 404 */
export async function findEntry(
  text: string,
  client: Pick<LogClient, 'checkpoint' | 'entryBundle' | 'receipt'>,
): Promise<{ entry: Hash; index: number }> {
  const [, decimal] = /^0\.(0|[1-9][0-9]{0,14})$/.exec(text) ?? []
  if (decimal === undefined) {
    if (/^[0-9]+$/.test(text) && text.length < 16)
      throw new UsageError(`the entry with index ${text} is 0.${text} here`)
    const entry = parseEntryHash(text)
    return { entry, index: (await client.receipt(entry)).index }
  }
  const [index, { size }] = [Number(decimal), await client.checkpoint()]
  if (index >= size) {
    const detail = `the log has ${size} entries`
    throw new RefusedError({ status: 404, code: 'not_found', title: 'Not Found', detail })
  }
  const n = Math.floor(index / TILE_WIDTH)
  const width = tileWidth(0, n, size)
  const entries = decodeEntryBundle(await client.entryBundle(n, width), width)
  return { entry: entries[index % TILE_WIDTH]!, index }
}
