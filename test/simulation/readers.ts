/**
 * Those who read while others write: what they get is what was published, or nothing, or an error that the disk gave cause for.
 *
 * @module
 */
import { checkConsistency, equalBytes, fromHex } from '../../merkle/index.ts'
import type { Random } from '../fuzz/random.ts'
import type { Clients, Served } from './clients.ts'
import { nameOf } from './disk.ts'
import type { Model } from './model.ts'

/** Somebody asks something. What comes back is compared when it comes. */
export function readSomething(
  { log: { reader } }: Served,
  model: Model,
  clients: Clients,
  random: Random,
  mayFail: () => boolean,
): void {
  const index = random.below(model.size)
  const entry = model.ledger[index]!
  const sizes = [...model.roots.keys()].sort((a, b) => a - b)
  const [size1, size2] = [random.pick(sizes), random.pick(sizes)].sort((a, b) => a - b) as [number, number]
  const questions: (() => Promise<void>)[] = [
    async () => {
      const found = await reader.entryAt(index)
      if (!found || !equalBytes(found, entry)) model.fail(`entry ${index} is read as another one`)
    },
    async () => {
      const found = await reader.locate(entry)
      if (found?.index !== index) model.fail(`entry ${index} is found at ${found?.index}`)
    },
    async () => {
      // Of something that was sent, and may be under way.
      const sent = random.pick([...clients.known.values()])
      const found = sent && (await reader.locate(sent.entry))
      if (!found) return
      model.published(reader)
      if (model.index.get(nameOf(sent.entry)) !== found.index)
        model.fail(`entry ${found.index} is found before it is published`)
    },
    async () => {
      const receipt = await reader.receipt(index)
      model.published(reader)
      model.checkReceipt(entry, index, receipt)
    },
    async () => {
      const proof = await reader.consistencyProof(size1, size2)
      const [root1, root2] = [size1, size2].map((size) => fromHex(model.roots.get(size)!)) as [Uint8Array, Uint8Array]
      checkConsistency({ size1, root1, size2, root2, proof })
    },
    async () => {
      const statement = await reader.statement(index)
      if (!statement) model.fail(`statement ${index} is published and not there`)
    },
  ]
  random
    .pick(questions)()
    .catch((error: unknown) => {
      if (!mayFail()) model.fail(`a reader gets an error: ${String(error)}`)
    })
}
