/**
 * What others wrote and we only read: CBOR in any encoding, results as CWTs, wrappers of evidence, reports of devices, layers of software.
 *
 * @module
 */

import { readingEvidence } from '../../../clients/verifier/error.ts'
import { type Cmw, readCmw, recordsOf } from '../../../clients/verifier/evidence/cmw.ts'
import { decodeSpdmReport, type SpdmReport } from '../../../clients/verifier/evidence/hardware/nvidia/spdm.ts'
import {
  decodeEndorsements,
  type OakEndorsements,
} from '../../../clients/verifier/evidence/hardware/oak/endorsements.ts'
import { readEvents } from '../../../clients/verifier/evidence/hardware/oak/events.ts'
import { decodeOakEvidence } from '../../../clients/verifier/evidence/hardware/oak/evidence.ts'
import { type LogEntry, readLogEntry } from '../../../clients/verifier/evidence/hardware/oak/rekor.ts'
import { readSubmission, type Submission } from '../../../clients/verifier/evidence/submission.ts'
import { concatBytes, equalBytes, fromHex, hashLeaf, toBase64, toHex, utf8 } from '../../../merkle/index.ts'
import { readEarClaims } from '../../../provenance/attestation/ear-claims.ts'
import { decodeEarCwt } from '../../../provenance/attestation/ear-cwt.ts'
import { decodeLooseCbor, type LooseCbor } from '../../../provenance/attestation/loose-cbor.ts'
import { EAR_PROFILE, type EarClaims, VERAISON_PROFILE } from '../../../provenance/index.ts'
import { type CborKey, type CborValue, decodeCbor, encodeCbor } from '../../../statement/index.ts'
import { demand, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, type Mutator } from '../mutate.ts'
import { cborMutator } from '../mutate-cbor.ts'
import { bytesField, numberField, protobufMutator } from '../mutate-protobuf.ts'

const cborMutators: readonly Mutator[] = [cborMutator, cborMutator, bytesMutator]
/** JSON or CBOR, by how it begins. */
const eitherMutator: Mutator = (input, random, others) =>
  (input[0] === 0x5b || input[0] === 0x7b ? jsonMutator : cborMutator)(input, random, others)

const looseCbor: Target<LooseCbor> = {
  name: 'loose-cbor',
  seeds: [
    '00',
    '3903e7',
    '5f42010243030405ff',
    '7f657374726561646d696e67ff',
    'bf61610161629f0203ffff',
    'f93e00',
    'fbc010666666666666',
    'd83da10a01',
    'a201f50061f4',
  ].map(fromHex),
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: ['malformed_cbor', 'too_large'],
  read: decodeLooseCbor,
  check(value, input) {
    // What the strict reader takes, this one takes for the same.
    let strict: CborValue
    try {
      strict = decodeCbor(input, { sortedKeys: false })
    } catch {
      return `loose ${typeof value}`
    }
    demand(equalBytes(encodeCbor(strict), encodeCbor(value as CborValue)), 'reads another value than the strict reader')
    return `strict ${typeof value}`
  },
}

const claims = (profile: string, policies: CborValue) =>
  new Map<CborKey, CborValue>([
    [265, profile],
    [6, 1_666_529_184],
    [
      1004,
      new Map<CborKey, CborValue>([
        [0, 'd'],
        [1, 'b'],
      ]),
    ],
    [10, [utf8('challenge')]],
    [
      266,
      new Map([
        [
          'PSA',
          new Map<CborKey, CborValue>([
            [1000, 2],
            [1001, new Map([[2, 2]])],
            [1003, policies],
            [-70002, new Map([['akpub', fromHex('3059')]])],
          ]),
        ],
      ]),
    ],
  ])
const cwt = (payload: CborValue) =>
  encodeCbor([encodeCbor(new Map([[1, -7]])), new Map([[4, utf8('kid')]]), encodeCbor(payload), new Uint8Array(64)])

const earCwt: Target<EarClaims> = {
  name: 'ear-cwt',
  seeds: [cwt(claims(EAR_PROFILE, ['a'])), cwt(claims(VERAISON_PROFILE, 'a'))],
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: [
    'malformed_result',
    'unsupported_profile',
    'inconsistent_result',
    'unsupported_algorithm',
    'unknown_critical_extension',
  ],
  read: (input) => readEarClaims(decodeEarCwt(input).claims()),
  check: ({ profile, appraisals, nonces }) => `${profile} ${appraisals.size > 1} ${nonces?.length}`,
}

const EAR_TYPE = `application/eat+jwt; eat_profile="${EAR_PROFILE}"`
const wrappers = [
  utf8(JSON.stringify([EAR_TYPE, 'ZXlK', 8])),
  utf8(
    JSON.stringify({
      __cmwc_t: 'tag:bank.example,2026:x',
      cpu: ['application/vnd.provlog.tdx', 'BAAC', 4],
      rack: { gpu: [266, 'W10'] },
    }),
  ),
  encodeCbor(
    new Map<CborKey, CborValue>([
      ['cpu', ['application/vnd.provlog.sev-snp', fromHex('02'), 4]],
      [7, [263, fromHex('d2')]],
    ]),
  ),
  concatBytes(fromHex('da63747632'), fromHex('442347da55')),
]

const cmw: Target<Cmw | undefined> = {
  name: 'cmw',
  seeds: wrappers,
  mutators: [eitherMutator, eitherMutator, bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_evidence'],
  // JSON that is read without losing a digit takes some 75 ns a byte, and a Verifier reads files, not requests.
  timeLimit: 10,
  read: readCmw,
  check(wrapper) {
    if (!wrapper) return 'none'
    const labels = recordsOf(wrapper).map(([label]) => label)
    demand(new Set(labels).size === labels.length, 'two records of one name')
    return `${labels.length > 1} ${'members' in wrapper}`
  },
}

const submission: Target<Submission> = {
  name: 'submission',
  seeds: wrappers.slice(0, 3),
  mutators: [eitherMutator, eitherMutator, bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_evidence', 'unknown_evidence_format'],
  timeLimit: 10,
  read: (input) => readSubmission(input, 'cmw'),
  check: ({ pieces, collateral }) => `${pieces.map(({ format }) => format.name).join()} ${collateral.length}`,
}

const block = (index: number) => concatBytes(fromHex(`0${index}013300013000`), new Uint8Array(48).fill(index))
const spdm: Target<SpdmReport> = {
  name: 'spdm',
  seeds: [
    concatBytes(
      fromHex('11e001ff'),
      new Uint8Array(33).fill(7),
      fromHex('11600000026e0000'),
      block(1),
      block(2),
      new Uint8Array(32).fill(8),
      fromHex('0d00'),
      fromHex('0300050031302e3100'),
      fromHex('15000000'),
      new Uint8Array(96).fill(9),
    ),
  ],
  mutators: [bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_evidence'],
  read: decodeSpdmReport,
  check({ signed, signature, measurements, opaque }, input) {
    demand(equalBytes(concatBytes(signed, signature), input.subarray(0, signed.length + 96)), 'signs something else')
    return `${measurements.size} ${opaque.size}`
  },
}

const filled = (byte: number, length = 32) => new Uint8Array(length).fill(byte)
const oakEvent = (type: string, ...data: readonly Uint8Array[]) => {
  const url = utf8(`type.googleapis.com/oak.attestation.v1.${type}`)
  return bytesField(2, bytesField(2, bytesField(1, url), bytesField(2, ...data)))
}
const oakLog = bytesField(
  4,
  oakEvent('Stage0Measurements', bytesField(2, filled(1)), bytesField(6, utf8('quiet'))),
  oakEvent('SystemLayerData', bytesField(1, bytesField(18, filled(2)))),
  oakEvent('ContainerLayerData', bytesField(1, bytesField(18, filled(3))), bytesField(4, filled(4, 65))),
)
const oakRoot = bytesField(1, numberField(1, 1), bytesField(2, filled(5, 99)), bytesField(3, filled(6, 40)))
const oakLayer = bytesField(2, bytesField(1, filled(7, 60)))

interface OakRead {
  readonly evidence: ReturnType<typeof decodeOakEvidence>
  readonly measured: ReturnType<typeof readEvents>
}

const oakEvidence: Target<OakRead> = {
  name: 'oak-evidence',
  seeds: [concatBytes(oakRoot, oakLayer, oakLayer, oakLayer, bytesField(3, bytesField(2, filled(8, 60))), oakLog)],
  mutators: [protobufMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_evidence'],
  read: (input) =>
    readingEvidence(() => {
      const evidence = decodeOakEvidence(input)
      return { evidence, measured: readEvents(evidence.events) }
    }),
  check({ evidence: { events, layers, platform }, measured: { measurements, mustBeNamed } }) {
    demand(events.length > 0 && Math.max(events.length, layers.length) <= 16, 'more layers than there may be')
    demand(
      events.every((_, i) => measurements[`event:${i}`]?.length === 64),
      'an event without its digest',
    )
    const named = Object.keys(measurements).filter((name) => !name.startsWith('event:'))
    demand(named.length === 0 || mustBeNamed.length === 0, 'gives names to layers that it does not know')
    return `${platform} ${events.length} ${named.length}`
  },
}

const oakSigned = bytesField(
  1,
  bytesField(1, numberField(1, 1), bytesField(2, utf8('{}'))),
  bytesField(2, bytesField(2, filled(1, 70))),
  bytesField(3, utf8('{}')),
)
const oakRelease = concatBytes(bytesField(1, utf8('{}')), bytesField(2, filled(1, 70)), bytesField(4, filled(2)))
const oakVariant = (id: string, ...value: readonly Uint8Array[]) =>
  concatBytes(bytesField(1, fromHex(id)), bytesField(2, ...value))

const oakEndorsements: Target<OakEndorsements> = {
  name: 'oak-endorsements',
  seeds: [
    concatBytes(
      bytesField(8, oakVariant('5a12d00f48a04224bff4975c7657438f', bytesField(1, filled(3, 99)))),
      bytesField(9, oakVariant('de4a0d5560ea4dc6abd109ed744f80ea', oakSigned)),
      bytesField(10, oakVariant('4722655d963d4fc98443f14571dd32a2', oakSigned)),
    ),
    bytesField(
      2,
      bytesField(1, bytesField(1, filled(3, 99)), bytesField(2, oakRelease)),
      bytesField(3, bytesField(1, oakRelease)),
    ),
  ],
  mutators: [protobufMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_collateral'],
  read: decodeEndorsements,
  check({ platformCertificates, signed }) {
    demand(
      signed.every(([, { statement, signature }]) => statement.length > 0 && signature.length > 0),
      'an endorsement that nobody signed',
    )
    return `${platformCertificates.length} ${signed.map(([name]) => name).join()}`
  },
}

/** What Rekor answers. The key is of RFC 6979, A.2.5; no signature holds. */
function rekorAnswer(): Uint8Array {
  const key = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7
Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
-----END PUBLIC KEY-----
`
  const hash = { algorithm: 'sha256', value: 'ab'.repeat(32) }
  const signature = { content: 'AAAA', publicKey: { content: toBase64(utf8(key)) } }
  const body = utf8(JSON.stringify({ apiVersion: '0.0.1', kind: 'hashedrekord', spec: { data: { hash }, signature } }))
  const leaf = toHex(hashLeaf(body))
  const inclusionProof = { hashes: [leaf], logIndex: 0, treeSize: 2, rootHash: leaf, checkpoint: 'a\n2\n\n' }
  const verification = { signedEntryTimestamp: 'AAAA', inclusionProof }
  const entry = { body: toBase64(body), integratedTime: 1, logID: hash.value, logIndex: 2, verification }
  return utf8(JSON.stringify({ [`0123456789abcdef${leaf}`]: entry }))
}

const rekorEntry: Target<LogEntry> = {
  name: 'rekor-entry',
  seeds: [rekorAnswer()],
  mutators: [jsonMutator, bytesMutator],
  maxBytes: 64 * 1024,
  codes: ['malformed_collateral'],
  // JSON that is read without losing a digit takes some 75 ns a byte, and a Verifier reads files, not requests.
  timeLimit: 10,
  read: readLogEntry,
  check({ entry, logId }) {
    demand(logId === entry.logID, 'names another log')
    return String(entry.verification.inclusionProof?.hashes.length)
  },
}

export function evidenceTargets(): readonly Target[] {
  return [looseCbor, earCwt, cmw, submission, spdm, oakEvidence, oakEndorsements, rekorEntry] as readonly Target[]
}
