/** `proof` and `verify-proof`: an inclusion proof that stands alone, as c2sp.org/tlog-proof writes it. @module */
import {
  checkInclusion,
  checkTlogProof,
  formatTlogProof,
  hashLeaf,
  type LogIdentity,
  parseCheckpoint,
  parseNote,
  parseTlogProof,
  parseVkey,
  parseWitnessPolicy,
  policyLog,
  toHex,
} from '../../../merkle/index.ts'
import { parseSignedStatement } from '../../../statement/index.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import { findEntry, parseEntryHash } from '../entry.ts'
import type { Io } from '../io.ts'
import { logClient, logFlags } from '../log-access.ts'

export const proof: Command = {
  name: 'proof',
  summary: 'write the inclusion proof of an entry, with the checkpoint it leads to',
  positionals: { ENTRY: '0.INDEX, or 64 digits of hex' },
  flags: { ...logFlags, out: { value: 'F.tlog-proof', about: 'where the proof goes; stdout without it' } },

  async run(args, io) {
    const client = await logClient(args, io)
    const { entry, index } = await findEntry(args.positionals[0] ?? '', client)
    const checkpoint = await client.checkpoint()
    const hashes = await client.inclusionProof(index, checkpoint.size)
    checkInclusion({ index, size: checkpoint.size, leafHash: hashLeaf(entry), proof: hashes }, checkpoint.root)

    const text = formatTlogProof({ index, proof: hashes, checkpoint: checkpoint.note })
    const path = args.optional('out')
    if (path !== undefined) await io.writeFile(path, text)
    const result = { entry: toHex(entry), index, size: checkpoint.size, proof: path ?? text }
    if (args.has('json')) io.out(JSON.stringify(result))
    else io.out(path === undefined ? text.trimEnd() : `entry ${index} of ${checkpoint.size}: ${path}`)
    return Exit.ok
  },
}

export const verifyProof: Command = {
  name: 'verify-proof',
  summary: 'check a proof file offline: that the entry is in a log, and that witnesses saw it',
  positionals: {
    'F.tlog-proof': 'the proof; --entry or --statement says of what, --vkey or --policy which log is trusted',
  },
  flags: {
    vkey: { value: 'VKEY', about: 'the log’s verifier key; several of one log are alternatives', repeated: true },
    policy: { value: 'FILE', about: 'logs and witnesses (C2SP tlog-policy); with --vkey its log lines do not count' },
    entry: { value: 'HEX', about: 'the entry that the proof must be of' },
    statement: { value: 'FILE', about: 'the statement that the proof must be of, with receipts or without' },
  },

  async run(args, io) {
    const policyPath = args.optional('policy')
    const entry = await entryIn(args, io)
    const policy = policyPath === undefined ? undefined : parseWitnessPolicy(await io.readFile(policyPath))
    const vkeys = args.all('vkey').map(parseVkey)
    if (vkeys.length === 0 && !policy)
      throw new UsageError('give --vkey or --policy: nothing is trusted to name its own')
    if (new Set(vkeys.map(({ name }) => name)).size > 1) throw new UsageError('--vkey: keys of two logs')

    const file = parseTlogProof(await io.readFile(args.positionals[0] ?? ''))
    const log: LogIdentity =
      vkeys.length > 0 ? { origin: vkeys[0]!.name, verifiers: vkeys } : policyLog(policy!, originIn(file.checkpoint))
    const { origin, size, root, cosignatures } = checkTlogProof(file, hashLeaf(entry), log, policy)
    const { index } = file
    if (args.has('json')) {
      io.out(JSON.stringify({ ok: true, entry: toHex(entry), index, origin, size, root: toHex(root), cosignatures }))
      return Exit.ok
    }
    const seenBy = [...new Set(cosignatures.map(({ witness }) => witness))]
    const witnesses = policy ? `, cosigned by ${seenBy.join(', ') || 'nobody, as the policy allows'}` : ''
    io.out(`ok: ${toHex(entry)} is entry ${index} of ${size} in ${origin}${witnesses}`)
    return Exit.ok
  },
}

async function entryIn(args: Arguments, io: Io): Promise<Uint8Array> {
  const [hex, path] = [args.optional('entry'), args.optional('statement')]
  if ((hex === undefined) === (path === undefined)) throw new UsageError('give --entry or --statement')
  return hex === undefined ? parseSignedStatement(await io.readFile(path!)).entry : parseEntryHash(hex)
}

/** Which log the checkpoint says that it is of: its signature is checked under the keys of that one. */
function originIn(checkpoint: string): string {
  return parseCheckpoint(parseNote(checkpoint).text).origin
}
