/**
 * The log of what firmware and boot loader measured, replayed: the PCRs that result if every event in it was extended.
 *
 * TCG PC Client Platform Firmware Profile §10: the crypto-agile log. Its first event is in the format of TPM 1.2 and names the hashes; the
 * others have a digest for each. Numbers are little-endian.
 *
 * A log that replays to the quoted PCRs lists what was extended. That an event's data is what its digest says is for whoever interprets it: for
 * most types the digest is of something else than the data in the log, and none is interpreted here.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { concatBytes } from '../../../../../merkle/index.ts'
import { malformedEvidence, type VerifierError } from '../../../error.ts'
import { ByteReader, isZero } from '../layout.ts'
import { HASHES, hashOf, PCRS, type PcrBank } from './quote.ts'

/** §10.4.1: not extended. */
const EV_NO_ACTION = 3
/** The first event: "Spec ID Event03". */
const SPEC_ID = '5370656320494420'
/** "StartupLocality": from which locality the TPM was started, which is where PCR 0 starts. §10.4.5.3 */
const STARTUP_LOCALITY = new TextEncoder().encode('StartupLocality\0')

const MAX_EVENTS = 16_384

/** PCRs by bank; only those that an event of the log extended. @throws {@link VerifierError} `malformed_evidence` */
export function replayEventLog(log: Uint8Array): ReadonlyMap<PcrBank, ReadonlyMap<number, Uint8Array>> {
  const reader = new ByteReader(log)
  const banks = readSpecId(reader)
  const replayed = new Map<PcrBank, Map<number, Uint8Array>>(
    banks.flatMap(({ name }) => (name === undefined ? [] : [[name, new Map()]])),
  )
  let locality = 0
  for (let events = 0; !isDone(reader, log); events++) {
    if (events === MAX_EVENTS) throw malformed(`more than ${MAX_EVENTS} events`)
    const pcr = reader.number(4, 'a PCR’s number')
    const type = reader.number(4, 'an event’s type')
    const digests = readDigests(reader, banks)
    const data = reader.take(reader.number(4, 'an event’s length'), 'an event')
    if (type === EV_NO_ACTION) {
      if (pcr === 0 && startsWith(data, STARTUP_LOCALITY)) locality = data[STARTUP_LOCALITY.length] ?? 0
      continue
    }
    if (pcr >= PCRS) throw malformed(`PCR ${pcr}`)
    for (const [bank, digest] of digests) {
      const pcrs = replayed.get(bank)!
      const before = pcrs.get(pcr) ?? startOf(pcr, digest.length, locality)
      pcrs.set(pcr, createHash(bank).update(concatBytes(before, digest)).digest())
    }
  }
  return replayed
}

/** Hashes that nothing here computes, and TPMs have banks of: SM3, and SHA-3 of three lengths. Such banks are passed over, and no quote of them is taken. */
const OTHERS: ReadonlyMap<number, number> = new Map([
  [0x0012, 32],
  [0x0027, 32],
  [0x0028, 48],
  [0x0029, 64],
])

interface Bank {
  readonly id: number
  readonly bytes: number
  readonly name?: PcrBank
}

/** The hashes that every event of the log has a digest of. */
function readSpecId(reader: ByteReader): Bank[] {
  const header = reader.take(8, 'the first event')
  reader.take(20, 'the first event')
  const data = reader.take(reader.number(4, 'the first event'), 'the first event')
  const isSpecId = Buffer.from(data.subarray(0, 8)).toString('hex') === SPEC_ID
  if (header[4] !== EV_NO_ACTION || !isSpecId) throw malformed('not a crypto-agile event log')
  const spec = new ByteReader(data)
  spec.take(24, 'the specification’s version')
  const count = spec.number(4, 'the number of hashes')
  if (count === 0 || count > HASHES.length + OTHERS.size) throw malformed(`${count} hashes`)
  return Array.from({ length: count }, () => {
    const id = spec.number(2, 'a hash')
    const bank = bankOf(id)
    if (spec.number(2, 'a hash’s length') !== bank.bytes) throw malformed(`the length of ${bank.name ?? id}`)
    return bank
  })
}

function bankOf(id: number): Bank {
  const bytes = OTHERS.get(id)
  return bytes === undefined ? hashOf(id) : { id, bytes }
}

function readDigests(reader: ByteReader, banks: readonly Bank[]): Map<PcrBank, Uint8Array> {
  const count = reader.number(4, 'the number of digests')
  // With a bank left out, what is in the log and what is in that bank's PCRs would differ without anybody noticing.
  if (count !== banks.length) throw malformed(`${count} digests for ${banks.length} hashes`)
  const seen = new Set<number>()
  const digests = new Map<PcrBank, Uint8Array>()
  for (let i = 0; i < count; i++) {
    const { id, name, bytes } = bankOf(reader.number(2, 'a digest’s hash'))
    seen.add(id)
    const digest = reader.take(bytes, 'a digest')
    if (name !== undefined) digests.set(name, digest)
  }
  if (seen.size !== count || !banks.every(({ id }) => seen.has(id))) throw malformed('digests of other hashes')
  return digests
}

/** At the end, or where only the zeros of a fixed-size buffer are left. */
function isDone(reader: ByteReader, log: Uint8Array): boolean {
  return isZero(log.subarray(reader.at))
}

/** PCRs 17 to 22 are ones until a dynamic launch (TPM 2.0 Library, Part 1, §17.4); PCR 0 ends with the locality. */
function startOf(pcr: number, length: number, locality: number): Uint8Array {
  const start = new Uint8Array(length)
  if (pcr >= 17 && pcr <= 22) start.fill(0xff)
  if (pcr === 0) start[length - 1] = locality
  return start
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, i) => bytes[i] === byte)
}

function malformed(why: string): VerifierError {
  return malformedEvidence(`the event log: ${why}`)
}
