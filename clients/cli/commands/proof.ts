/** `proof`: an inclusion proof that stands alone, as c2sp.org/tlog-proof writes it. @module */
import { checkInclusion, formatTlogProof, fromHex, hashLeaf } from '../../../merkle/index.ts'
import { type Command, Exit } from '../command.ts'
import { logClient, logFlags } from '../log-access.ts'

export const proof: Command = {
  name: 'proof',
  summary: 'write the inclusion proof of an entry, with the checkpoint it leads to',
  positionals: ['ENTRY'],
  flags: { ...logFlags, out: { value: 'F.tlog-proof', about: 'where the proof goes; stdout without it' } },

  async run(args, io) {
    const client = await logClient(args, io)
    const entry = fromHex(args.positionals[0] ?? '')
    const { index } = await client.statement(entry)
    const checkpoint = await client.checkpoint()
    const hashes = await client.inclusionProof(index, checkpoint.size)
    checkInclusion({ index, size: checkpoint.size, leafHash: hashLeaf(entry), proof: hashes }, checkpoint.root)

    const text = formatTlogProof({ index, proof: hashes, checkpoint: checkpoint.note })
    const path = args.optional('out')
    if (path !== undefined) await io.writeFile(path, text)
    if (args.has('json')) io.out(JSON.stringify({ index, size: checkpoint.size, proof: path ?? text }))
    else io.out(path === undefined ? text.trimEnd() : `entry ${index} of ${checkpoint.size}: ${path}`)
    return Exit.ok
  },
}
