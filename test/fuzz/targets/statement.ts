/**
 * CBOR, COSE, receipts, keys, sealed sections and wraps.
 *
 * @module
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Tag as Cbor2Tag, decode as cbor2, cdeDecodeOptions } from 'cbor2'
import { decode as cborg } from 'cborg'
import { compareBytes, concatBytes, equalBytes, fromUtf8, sha256, toHex, utf8 } from '../../../merkle/index.ts'
import {
  attachReceipts,
  type CborLimits,
  CborTag,
  type CborValue,
  type CoseSign1,
  coseKeyOf,
  decodeCbor,
  decodeCoseKeySet,
  decodeCoseSign1,
  decodeProblem,
  decodeSealed,
  encodeCbor,
  encodeCborSequence,
  encodeCoseKeySet,
  encodeCoseSign1,
  encodeProblem,
  encodeSealed,
  jwkOfCoseKey,
  openSection,
  type Problem,
  type PublicJwk,
  parsePrivateJwk,
  parsePublicJwk,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  publicJwkOf,
  type Receipt,
  type Sealed,
  type SignedStatement,
  type StatementContent,
  StatementError,
  sealSections,
  signSign1,
  signStatement,
  signTreeHead,
  splitCborSequence,
  statementIdentity,
  unwrapKeys,
  verifyReceipt,
  wrapKeys,
  wrapRecipientKid,
} from '../../../statement/index.ts'
import { buildReceipt } from '../../../statement/receipt.ts'
import { decodeByCborX } from '../../statement/cbor-x-reader.ts'
import {
  ED25519_JWK,
  ES256_JWK,
  keysOf,
  OTHER_X25519_JWK,
  someEntries,
  treeOf,
  X25519_JWK,
} from '../../statement/fixtures.ts'
import { demand, demandSame, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, type Mutator, textMutator } from '../mutate.ts'
import { cborMutator } from '../mutate-cbor.ts'
import { Random } from '../random.ts'

/** One of the examples that the documentation shows. */
export function example(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../docs/examples/formats/${name}`, import.meta.url)))
}

const cborMutators: readonly Mutator[] = [cborMutator, cborMutator, bytesMutator]
const CBOR = ['malformed_cbor', 'too_large']
const { signing: edKey } = await keysOf(ED25519_JWK)
const { signing: esKey, verification: receiptKey } = await keysOf(ES256_JWK)

const ORIGIN = 'log.example/fuzz'
const entries = someEntries(9)
const tree = treeOf(entries)
const head = await signTreeHead({ origin: ORIGIN, size: 9, root: tree.root(9), issuedAt: 1_800_000_000 }, esKey)
const receipts = [0, 4, 8].map((index) => buildReceipt(head, { index, proof: tree.inclusion(index, 9) }))

const contents: readonly StatementContent[] = [
  { issuer: 'did:web:a.example', subject: 'b', issuedAt: 1, contentType: 'text/plain', payload: utf8('hello') },
  {
    issuer: ORIGIN,
    subject: '',
    issuedAt: 2 ** 40,
    contentType: 'x/y',
    typ: 'application/x+cose',
    payload: new Uint8Array(),
  },
]
const statements = await Promise.all(
  contents.flatMap((content) => [edKey, esKey].map(async (key) => (await signStatement(content, key)).bytes)),
)
const unsorted = await signSign1(
  {
    protectedHeader: new Map<number, CborValue>([
      [
        15,
        new Map([
          [2, 'subject'],
          [1, 'https://issuer.example'],
          [6, new CborTag(1, 1_800_000_000)],
        ] as [number, CborValue][]),
      ],
      [3, 'text/plain'],
      [2, [3, 15]],
      [33, [Uint8Array.of(0x30, 0), Uint8Array.of(0x30, 0)]],
    ]),
    unprotected: new Map<number, CborValue>([[394, [receipts[0]!]]]),
    payload: utf8('payload'),
  },
  edKey,
)
const transparent = statements.map((statement, i) => attachReceipts(statement, receipts.slice(0, i)))

const recordId = new Uint8Array(16).fill(7)
const context = { issuer: 'spiffe://example.org/issuer', recordId }
let drawn = 0
const { sealed, keys: ceks } = await sealSections(
  context,
  new Map([
    ['workload', utf8('which')],
    ['policy', utf8('why')],
  ]),
  (length) => new Uint8Array(length).fill(++drawn),
)
const wraps = await Promise.all([X25519_JWK, OTHER_X25519_JWK].map((jwk) => wrapKeys(recordId, ceks, publicJwkOf(jwk))))

export function statementTargets(): readonly Target[] {
  return [
    cborTarget('cbor', { tags: [18] }, CBOR_SEEDS),
    cborTarget('cbor-unsorted', { tags: [1, 18], sortedKeys: false, maxItems: 4096 }, [
      ...CBOR_SEEDS,
      ...transparent,
      ...receipts,
    ]),
    cborSequence,
    coseSign1,
    signedStatement,
    transparentStatement,
    receipt,
    verifiedReceipt,
    problem,
    coseKey,
    coseKeySet,
    jwk,
    sealedSections,
    openedSection,
    wrap,
  ].map((target) => target as Target)
}

const random = new Random(20_261_122)
const INTEGERS = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
const TEXTS = ['', 'a', 'alg', '__proto__', 'é水𐅑', 'x'.repeat(30), 'y'.repeat(300)]

/** Anything that our CBOR has a form for. */
function someValue(levels: number): CborValue {
  const kind = random.below(levels > 0 ? 9 : 6)
  if (kind === 0) return random.pick(INTEGERS)
  if (kind === 1) return -1 - random.pick(INTEGERS.slice(0, -1))
  if (kind === 2) return random.pick(TEXTS)
  if (kind === 3) return random.bytes(random.below(40))
  if (kind === 4) return random.pick([true, false, null])
  if (kind === 5) return random.below(1000)
  if (kind === 6) return Array.from({ length: random.below(6) }, () => someValue(levels - 1))
  if (kind === 7) return new CborTag(18, someValue(levels - 1))
  const key = () => (random.chance(0.5) ? random.pick(TEXTS) : random.below(2000) - 1000)
  return new Map(Array.from({ length: random.below(6) }, () => [key(), someValue(levels - 1)]))
}

const CBOR_SEEDS: readonly Uint8Array[] = Array.from({ length: 100 }, () => encodeCbor(someValue(4)))

/**
 * Strict CBOR beside three decoders that other people wrote. Whatever we take they must take, and read as the same value; cbor-x behind a
 * gate must also refuse what we refuse, with the same code.
 *
 * There is one deliberate difference, of form: where `sortedKeys` is off (COSE headers of others), the order of keys is not held
 * against the oracle's deterministic mode, and writing again is compared in the order that was read.
 */
function cborTarget(name: string, limits: Partial<CborLimits>, seeds: readonly Uint8Array[]): Target<CborValue> {
  const sorted = limits.sortedKeys !== false
  return {
    name,
    seeds,
    mutators: cborMutators,
    maxBytes: 320 * 1024,
    codes: CBOR,
    read: (input) => decodeCbor(input, limits),
    check(value, input) {
      const first = oracle('cbor-x', () => decodeByCborX(input, limits))
      demand(normal(first) === normal(value), 'cbor-x reads another value')
      if (sorted) demandSame(input, encodeCbor(value))
      const expected = normal(value)
      const mayBe = { preferMap: true, rejectDuplicateKeys: true, ignoreGlobalTags: true, tags: new Map() }
      const options = sorted ? { ...cdeDecodeOptions, ...mayBe } : { ...cdeDecodeOptions, sortKeys: null, ...mayBe }
      const theirs = oracle('cbor2', () => cbor2(input, options as Parameters<typeof cbor2>[1]))
      demand(normal(theirs) === expected, 'cbor2 reads another value')
      if (!expected.includes('tag(')) {
        const third = oracle('cborg', () => cborg(input, { strict: true, useMaps: true, rejectDuplicateMapKeys: true }))
        demand(normal(third) === expected, 'cborg reads another value')
      }
      return value === null ? 'null' : typeof value === 'object' ? value.constructor.name : typeof value
    },
    checkRefusal(code, input) {
      let refusal: unknown
      try {
        decodeByCborX(input, limits)
      } catch (error) {
        refusal = (error as { code?: unknown }).code
      }
      demand(refusal === code, `cbor-x behind its gate says ${String(refusal)}, not ${code}`)
    },
  }
}

function oracle(name: string, read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    demand(false, `${name} refuses it: ${(error as Error).message}`)
  }
}

/** A value as text, whichever of the three decoders built it. */
function normal(value: unknown): string {
  if (value instanceof Uint8Array) return `h'${toHex(value)}'`
  if (value instanceof CborTag) return `tag(${value.tag},${normal(value.value)})`
  if (value instanceof Cbor2Tag) return `tag(${Number(value.tag)},${normal(value.contents)})`
  if (Array.isArray(value)) return `[${value.map(normal).join()}]`
  if (value instanceof Map) return `{${Array.from(value, ([key, inner]) => `${normal(key)}:${normal(inner)}`).join()}}`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** RFC 8742: what joins again to the same bytes, each item of which is one to the reader of one. */
const cborSequence: Target<Uint8Array[]> = {
  name: 'cbor-seq',
  seeds: [
    concatBytes(...CBOR_SEEDS.slice(0, 5)),
    encodeCborSequence([Uint8Array.of(1), new Uint8Array(30)]),
    new Uint8Array(),
  ],
  mutators: cborMutators,
  maxBytes: 320 * 1024,
  codes: CBOR,
  read: (input) => splitCborSequence(input, 1000),
  check(items, input) {
    demandSame(input, concatBytes(...items))
    for (const item of items) decodeByCborX(item, {})
    return `${Math.min(items.length, 4)}`
  },
}

const COSE = [...CBOR, 'malformed_cose']

const coseSign1: Target<CoseSign1> = {
  name: 'cose-sign1',
  seeds: [...statements, encodeCoseSign1(unsorted), ...receipts, transparent[2]!, example('statement.cose')],
  mutators: cborMutators,
  maxBytes: 320 * 1024,
  codes: COSE,
  read: (input) => decodeCoseSign1(input),
  check(sign1, input) {
    const again = encodeCoseSign1(sign1)
    // Only the unprotected header may be written in another order than it was read in.
    if (sign1.unprotected.size < 2) demand(again.length === input.length, 'writes more or less than it read')
    demandSame(again, encodeCoseSign1(decodeCoseSign1(again)))
    const outer = decodeCbor(again, { tags: [18], sortedKeys: false }) as CborTag
    const [protectedBytes] = outer.value as [Uint8Array]
    demandSame(protectedBytes, sign1.protectedBytes)
    return `${sign1.payload === null} ${sign1.protectedHeader.size > 0} ${sign1.unprotected.size > 0}`
  },
}

const signedStatement: Target<SignedStatement> = {
  name: 'signed-statement',
  seeds: [...statements, encodeCoseSign1(unsorted), ...transparent, example('statement.cose')],
  mutators: cborMutators,
  // What POST /entries reads: a statement of 256 KiB and its wraps.
  maxBytes: 321 * 1024,
  codes: [...COSE, 'malformed_statement', 'missing_payload', 'unsupported_algorithm'],
  read: (input) => parseSignedStatement(input),
  check(statement, input) {
    const { bytes, entry, sign1 } = statement
    demandSame(sha256(bytes), entry)
    const registered = parseSignedStatement(bytes)
    demandSame(registered.bytes, bytes)
    demandSame(statementIdentity(registered), statementIdentity(statement))
    demand(registered.unprotected.size === 0, 'registers what nobody signed')
    if (sign1.unprotected.size === 0) demandSame(input, bytes)
    return Object.keys(statement.header).sort().join()
  },
}

const transparentStatement: Target<ReturnType<typeof parseTransparentStatement>> = {
  name: 'transparent-statement',
  seeds: [...transparent, example('transparent-statement.cose')],
  mutators: cborMutators,
  maxBytes: 321 * 1024,
  codes: [...COSE, 'malformed_statement', 'missing_payload', 'unsupported_algorithm'],
  read: (input) => parseTransparentStatement(input),
  check({ statement, receipts }) {
    const distinct = receipts.filter((one, i) => receipts.findIndex((other) => equalBytes(one, other)) === i)
    const again = parseTransparentStatement(attachReceipts(statement.bytes, receipts))
    demandSame(again.statement.entry, statement.entry)
    demandSame(concatBytes(...again.receipts), concatBytes(...distinct))
    return `${receipts.length > 0}`
  },
}

const RECEIPT = [...COSE, 'malformed_receipt', 'unsupported_vds']

const receipt: Target<Receipt> = {
  name: 'receipt',
  seeds: [...receipts, example('receipt.cose')],
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: RECEIPT,
  read: parseReceipt,
  check(value, input) {
    demandSame(value.bytes, input)
    return `${value.profile} ${value.inclusion.length} ${value.consistency.length}`
  },
}

/** Nothing is proven but what ours prove. */
const verifiedReceipt: Target<{ index: number; size: number }> = {
  name: 'verified-receipt',
  seeds: receipts,
  mutators: cborMutators,
  maxBytes: 8 * 1024,
  codes: [
    ...RECEIPT,
    ...['unbound_receipt', 'wrong_origin', 'wrong_key', 'wrong_tree_size', 'bad_signature', 'unsupported_algorithm'],
    ...['algorithm_mismatch', 'unknown_critical_header', 'proof_wrong_length', 'index_out_of_range'],
  ],
  read: (input) => verifyReceipt(parseReceipt(input), entries[4]!, receiptKey, { origin: ORIGIN }),
  check({ index, size }) {
    demand(index === 4 && size === 9, `proves index ${index} of ${size}`)
    return ''
  },
}

const problem: Target<Problem> = {
  name: 'problem',
  seeds: [
    encodeProblem({ title: 'Rejected', detail: 'why', code: 'bad_signature', status: 400 }),
    encodeProblem({ title: '', detail: '' }),
    example('problem.cbor'),
  ],
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: [...CBOR, 'malformed_problem'],
  read: decodeProblem,
  check(value) {
    demand(
      JSON.stringify(decodeProblem(encodeProblem(value))) === JSON.stringify(value),
      'does not survive being written',
    )
    return Object.keys(value).sort().join()
  },
}

const KEY = ['malformed_key', 'unsupported_key', 'weak_key']
const jwks = [ES256_JWK, ED25519_JWK, X25519_JWK].map((each) => publicJwkOf(each))

/** Node must be able to use what we call a sound key. */
function checkKey(key: PublicJwk): string {
  const { alg: _alg, ...members } = key
  const object = oracle('node', () => createPublicKey({ key: members as JsonWebKey, format: 'jwk' }))
  demand((object as { type: string }).type === 'public', 'is no public key to Node')
  return key.crv
}

const coseKey: Target<PublicJwk> = {
  name: 'cose-key',
  seeds: jwks.flatMap((key) => [encodeCbor(coseKeyOf(key)), encodeCbor(coseKeyOf(key, 'a name'))]),
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: [...CBOR, ...KEY],
  read: (input) => jwkOfCoseKey(decodeCbor(input)),
  check(key) {
    const again = jwkOfCoseKey(coseKeyOf(key))
    demand(JSON.stringify(again) === JSON.stringify(key), 'does not survive being written')
    return checkKey(key)
  },
}

const coseKeySet: Target<PublicJwk[]> = {
  name: 'cose-key-set',
  seeds: [encodeCoseKeySet(jwks), encodeCoseKeySet([])],
  mutators: cborMutators,
  maxBytes: 16 * 1024,
  codes: [...CBOR, ...KEY],
  read: decodeCoseKeySet,
  check(keys) {
    keys.forEach(checkKey)
    return `${Math.min(keys.length, 4)}`
  },
}

const jwk: Target<PublicJwk> = {
  name: 'jwk',
  seeds: [...jwks, { ...jwks[0]!, alg: 'ES256', kid: 'x', use: 'sig' }, ES256_JWK].map((key) =>
    utf8(JSON.stringify(key)),
  ),
  mutators: [jsonMutator, jsonMutator, textMutator()],
  maxBytes: 16 * 1024,
  codes: [...KEY, 'malformed_encoding'],
  read(input) {
    let value: unknown
    try {
      value = JSON.parse(fromUtf8(input))
    } catch (cause) {
      throw new StatementError('malformed_key', 'not JSON', { cause })
    }
    const isPrivate = typeof value === 'object' && value !== null && 'd' in value
    return isPrivate ? publicJwkOf(parsePrivateJwk(value)) : parsePublicJwk(value)
  },
  check(key) {
    demand(JSON.stringify(parsePublicJwk(key)) === JSON.stringify(key), 'does not survive being read again')
    return checkKey(key)
  },
}

const sealedSections: Target<Sealed> = {
  name: 'sealed',
  seeds: [encodeCbor(encodeSealed(sealed))],
  mutators: cborMutators,
  maxBytes: 64 * 1024,
  codes: [...CBOR, 'malformed_seal'],
  read: (input) => decodeSealed(decodeCbor(input)),
  check(value, input) {
    demandSame(input, encodeCbor(encodeSealed(value)))
    return `${value.sections.length}`
  },
}

/** A section opens to what was sealed, or not at all. */
const openedSection: Target<Uint8Array> = {
  name: 'opened-section',
  seeds: [encodeCbor(encodeSealed(sealed))],
  mutators: cborMutators,
  maxBytes: 8 * 1024,
  codes: [...CBOR, 'malformed_seal', 'wrong_key', 'decryption_failed', 'malformed_padding'],
  async read(input) {
    const { sections } = decodeSealed(decodeCbor(input))
    const section = sections.find(({ label }) => label === 'policy') ?? sections[0]!
    return openSection(context, section, ceks.get('policy')!)
  },
  check(plaintext) {
    demandSame(plaintext, utf8('why'))
    return ''
  },
}

const wrap: Target<Awaited<ReturnType<typeof unwrapKeys>>> = {
  name: 'wrap',
  seeds: [...wraps, example('wrap.json')],
  mutators: [jsonMutator, textMutator(), bytesMutator],
  maxBytes: 20 * 1024,
  codes: ['malformed_wrap', 'wrong_recipient', 'unsupported_key', ...CBOR],
  async read(input) {
    // Every reader asks this first, the log too, and it never throws.
    if (wrapRecipientKid(input) === undefined) throw new StatementError('malformed_wrap', 'no wrap')
    return unwrapKeys(input, X25519_JWK)
  },
  check(opened) {
    demandSame(opened.recordId, recordId)
    demand(
      [...opened.keys].every(([label, key]) => compareBytes(key, ceks.get(label) ?? new Uint8Array()) === 0),
      'has other keys',
    )
    return ''
  },
}
