/**
 * Notes, keys, checkpoints, tiles and bundles: text and bytes of the C2SP formats.
 *
 * @module
 */
import { decodeStatementBundle } from '../../../clients/log-client/statement-bundle.ts'
import {
  buildInclusionProof,
  checkTlogProof,
  concatBytes,
  createCosigner,
  createNoteSigner,
  decodeEntryBundle,
  encodeEntryBundle,
  formatCheckpoint,
  formatEntriesPath,
  formatSignatureLine,
  formatTilePath,
  formatTlogProof,
  formatVkey,
  fromUtf8,
  hashEntryBundle,
  hashLeaf,
  openCheckpoint,
  parseCheckpoint,
  parseEntriesPath,
  parseNote,
  parseTilePath,
  parseTlogProof,
  parseVkey,
  parseWitnessPolicy,
  sha256,
  signCheckpoint,
  type TlogProof,
  utf8,
  type WitnessPolicy,
} from '../../../merkle/index.ts'
import { lookupIn, mth } from '../../merkle/rfc-tree.ts'
import { demand, demandSame, type Target } from '../engine.ts'
import { bytesMutator, type Mutator, textMutator } from '../mutate.ts'

const ORIGIN = 'log.example/fuzz'
const log = createNoteSigner(ORIGIN, sha256(utf8('the log')))
const witnesses = [1, 2, 3].map((n) =>
  createCosigner(`w${n}.example`, sha256(utf8(`witness ${n}`)), () => 1_800_000_000),
)
const leaves = Array.from({ length: 11 }, (_, i) => hashLeaf(sha256(utf8(`entry ${i}`))))
const notes = [0, 1, 2, 7, 11].map((size) =>
  signCheckpoint({ origin: ORIGIN, size, root: mth(leaves.slice(0, size)) }, [log, ...witnesses.slice(0, size % 4)]),
)
const signedTexts = new Set(notes.map((note) => note.slice(0, note.indexOf('\n\n') + 1)))
const policyText = `# who must have seen it
log ${log.vkey} https://log.example/
witness w1 ${witnesses[0]!.vkey} https://w1.example
witness w2 ${witnesses[1]!.vkey}
witness w3 ${witnesses[2]!.vkey}
group two any w1 w2
group all all two w3
quorum two
`
const identity = { origin: ORIGIN, verifiers: [parseVkey(log.vkey)] }
const proofs: readonly TlogProof[] = [0, 5, 10].map((index) => ({
  index,
  proof: buildInclusionProof(index, 11, lookupIn(leaves)),
  checkpoint: notes[4]!,
  ...(index === 5 && { extra: utf8('said by nobody') }),
}))

const text = (words: readonly string[]): readonly Mutator[] => [textMutator(words), textMutator(words), bytesMutator]
const keyWords = [ORIGIN, log.vkey, '+', '—', '— ', `— ${ORIGIN} `, 'AAAAAAAA', '\n\n']

export function merkleTargets(): readonly Target[] {
  return [
    note,
    checkpoint,
    openedCheckpoint,
    vkey,
    witnessPolicy,
    tilePath,
    entriesPath,
    entryBundle,
    statementBundle,
    tlogProof,
  ].map((target) => target as Target)
}

const note: Target<ReturnType<typeof parseNote>> = {
  name: 'note',
  seeds: notes.map(utf8),
  mutators: text(keyWords),
  maxBytes: 32 * 1024,
  codes: ['malformed_note'],
  read: parseNote,
  check({ text, signatures }, input) {
    demandSame(input, utf8(`${text}\n${signatures.map(formatSignatureLine).join('')}`))
    demand(parseNote(fromUtf8(input)).text === text, 'reads as another note from a string')
    return `${signatures.length}`
  },
}

const checkpoint: Target<ReturnType<typeof parseCheckpoint>> = {
  name: 'checkpoint',
  seeds: [...signedTexts, `${[...signedTexts][1]}one more line\nand another\n`].map(utf8),
  mutators: text([ORIGIN, '\n', 'AAAA']),
  maxBytes: 64 * 1024,
  codes: ['malformed_checkpoint', 'malformed_encoding'],
  read: (input) => parseCheckpoint(fromUtf8(input)),
  check(value, input) {
    demandSame(input, utf8(formatCheckpoint(value)))
    return `${value.extensions.length > 0}`
  },
}

/** Whatever is added to a note or taken away, what is opened is one of the texts that the log signed. */
const openedCheckpoint: Target<ReturnType<typeof openCheckpoint>> = {
  name: 'opened-checkpoint',
  seeds: notes.map(utf8),
  mutators: text(keyWords),
  maxBytes: 32 * 1024,
  // A hundred lines in the name of one known key are a hundred verifications: bounded, and no server does it.
  timeLimit: 25,
  codes: [
    'malformed_note',
    'malformed_checkpoint',
    'unknown_signer',
    'bad_signature',
    'wrong_origin',
    'quorum_not_met',
    'root_mismatch',
  ],
  read: (input) => openCheckpoint(input, identity, parseWitnessPolicy(policyText)),
  check({ cosignatures, ...opened }) {
    demand(signedTexts.has(formatCheckpoint(opened)), 'opens a checkpoint that nobody signed')
    return `${new Set(cosignatures.map(({ witness }) => witness)).size}`
  },
}

const vkey: Target<ReturnType<typeof parseVkey>> = {
  name: 'vkey',
  seeds: [log.vkey, ...witnesses.map((witness) => witness.vkey)].map(utf8),
  mutators: text(['+', '++', '/', 'é', '\u2003']),
  maxBytes: 8 * 1024,
  codes: ['malformed_vkey', 'unsupported_key', 'malformed_encoding'],
  read: (input) => parseVkey(fromUtf8(input)),
  check({ name, type, publicKey }, input) {
    demandSame(input, utf8(formatVkey(name, type, publicKey)))
    return `${type}`
  },
}

const witnessPolicy: Target<WitnessPolicy> = {
  name: 'tlog-policy',
  seeds: [policyText, `log ${log.vkey}\nquorum none\n`, 'quorum none'].map(utf8),
  mutators: text([
    'log ',
    'witness ',
    'group ',
    'quorum ',
    'any',
    'all',
    'none',
    ' w1',
    ' w2',
    ' two',
    '\t',
    '#',
    '2',
    log.vkey,
  ]),
  maxBytes: 32 * 1024,
  codes: ['malformed_policy', 'malformed_vkey', 'unsupported_key'],
  read: parseWitnessPolicy,
  check({ witnesses, groups, quorum }) {
    const defined = new Set(witnesses.map(({ name }) => name))
    for (const { name, members, threshold } of groups) {
      demand(
        members.every((member) => defined.has(member)),
        'has a group of members that are not defined before it',
      )
      demand(threshold >= 1 && threshold <= members.length, 'has a group that is always satisfied, or never')
      defined.add(name)
    }
    demand(defined.size === witnesses.length + groups.length, 'has two meanings of one name')
    demand(quorum === undefined || defined.has(quorum), 'has a quorum that is not defined')
    return `${witnesses.length} ${groups.length} ${quorum !== undefined}`
  },
}

const tilePath: Target<ReturnType<typeof parseTilePath>> = {
  name: 'tile-path',
  seeds: ['tile/0/000', 'tile/63/x001/x234/067', 'tile/8/000.p/255', 'tile/0/x009/x007/x199/x254/x740/991.p/1'].map(
    utf8,
  ),
  mutators: text(['x', '/', '.p/', 'tile/', 'x000/', 'entries/', '%2f']),
  maxBytes: 8 * 1024,
  codes: ['malformed_tile_path', 'malformed_encoding'],
  read: (input) => parseTilePath(fromUtf8(input)),
  check(value, input) {
    demandSame(input, utf8(formatTilePath(value)))
    return `${value.width < 256}`
  },
}

const entriesPath: Target<ReturnType<typeof parseEntriesPath>> = {
  name: 'entries-path',
  seeds: ['tile/entries/000', 'tile/entries/x001/x234/067', 'tile/entries/999.p/255'].map(utf8),
  mutators: text(['x', '/', '.p/', 'tile/', 'x000/', 'entries/', '%2f']),
  maxBytes: 8 * 1024,
  codes: ['malformed_tile_path', 'malformed_encoding'],
  read: (input) => parseEntriesPath(fromUtf8(input)),
  check({ index, width }, input) {
    demandSame(input, utf8(formatEntriesPath(index, width)))
    return `${width < 256}`
  },
}

/** How many entries, less one, and then the bundle. */
const entryBundle: Target<Uint8Array[]> = {
  name: 'entry-bundle',
  seeds: [0, 2, 255].map((last) =>
    concatBytes(
      Uint8Array.of(last),
      encodeEntryBundle(Array.from({ length: last + 1 }, (_, i) => utf8(`entry ${i}`.repeat(i % 4)))),
    ),
  ),
  mutators: [bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_entry_bundle'],
  read: (input) => decodeEntryBundle(input.subarray(1), (input[0] ?? 0) + 1),
  check(entries, input) {
    demandSame(input.subarray(1), encodeEntryBundle(entries))
    demandSame(hashEntryBundle(input.subarray(1), entries.length), concatBytes(...entries.map(hashLeaf)))
    return ''
  },
}

const statementBundle: Target<Uint8Array[]> = {
  name: 'statement-bundle',
  seeds: [0, 3].map((last) =>
    concatBytes(Uint8Array.of(last), ...Array.from({ length: last + 1 }, (_, i) => framed(utf8('s'.repeat(i))))),
  ),
  mutators: [bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_answer'],
  read: (input) => decodeStatementBundle(input.subarray(1), (input[0] ?? 0) + 1),
  check(statements, input) {
    demandSame(input.subarray(1), concatBytes(...statements.map(framed)))
    return ''
  },
}

function framed(statement: Uint8Array): Uint8Array {
  const head = new Uint8Array(4)
  new DataView(head.buffer).setUint32(0, statement.length)
  return concatBytes(head, statement)
}

/** Read, and then checked for entry 5: a file that passes has the proof and the text that ours has. */
const tlogProof: Target<{ proof: TlogProof; checked: boolean }> = {
  name: 'tlog-proof',
  seeds: proofs.map((proof) => utf8(formatTlogProof(proof))),
  mutators: text(['extra ', 'index ', 'c2sp.org/tlog-proof@v1', 'AAAA', '\n\n']),
  maxBytes: 64 * 1024,
  timeLimit: 25,
  codes: ['malformed_proof'],
  read(input) {
    const proof = parseTlogProof(input)
    try {
      checkTlogProof(proof, leaves[5]!, identity)
      return { proof, checked: true }
    } catch {
      return { proof, checked: false }
    }
  },
  check({ proof, checked }, input) {
    demandSame(input, utf8(formatTlogProof(proof)))
    const { index, proof: path } = proofs[1]!
    const same = proof.index === index && proof.proof.every((hash, i) => path[i] && String(hash) === String(path[i]))
    demand(!checked || same, 'proves what nobody signed')
    return `${checked} ${proof.extra !== undefined}`
  },
}
