import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type CborMap, type CborValue, encodeCbor } from '../../statement/cbor.ts'
import { decodeCoseSign1, encodeCoseSign1, signSign1 } from '../../statement/cose-sign1.ts'
import {
  buildConsistencyReceipt,
  buildReceipt,
  parseReceipt,
  receiptBuilder,
  type SignedTreeHead,
  signTreeHead,
  type TreeHead,
  verifyConsistencyReceipt,
  verifyGenericConsistencyReceipt,
  verifyGenericReceipt,
  verifyReceipt,
} from '../../statement/receipt.ts'
import { ED25519_JWK, ES256_JWK, flipped, hex, keysOf, OTHER_ES256_JWK, someEntries, treeOf } from './fixtures.ts'

const { signing, verification } = await keysOf(ES256_JWK)
const other = await keysOf(OTHER_ES256_JWK)
const origin = 'log.example/2026'
const issuedAt = 1_764_000_000
const entries = someEntries(20)
const tree = treeOf(entries)
const heads = new Map<number, SignedTreeHead>()
for (let size = 1; size <= 20; size++) {
  heads.set(size, await signTreeHead({ origin, size, root: tree.root(size), issuedAt }, signing))
}
const receiptOf = (index: number, size: number) =>
  buildReceipt(heads.get(size)!, { index, proof: tree.inclusion(index, size) })
const growthOf = (size1: number, size2: number) =>
  buildConsistencyReceipt(heads.get(size2)!, { size1, proof: tree.consistency(size1, size2) })

/** A receipt with some of its unprotected proofs replaced, which needs no key. */
function withProof(receipt: Uint8Array, label: number, ...proofs: CborValue[]): Uint8Array {
  const vdp = new Map([[label, proofs.map((proof) => (proof instanceof Uint8Array ? proof : encodeCbor(proof)))]])
  return encodeCoseSign1({ ...decodeCoseSign1(receipt), unprotected: new Map([[396, vdp]]) })
}

/** A receipt with any protected header and a signature that is right over it. */
async function signedReceipt(
  protectedHeader: CborMap,
  index: number,
  size: number,
  key = signing,
): Promise<Uint8Array> {
  const signed = await signSign1({ protectedHeader, payload: tree.root(size), detached: true }, key)
  return withProof(encodeCoseSign1(signed), -1, [size, index, tree.inclusion(index, size)])
}
const claimsOf = (head: Partial<TreeHead>, ...more: [number | string, CborValue][]): Map<number, CborValue> =>
  new Map<number, CborValue>([
    [
      15,
      new Map<number | string, CborValue>([
        [1, head.origin ?? origin],
        [2, 'provlog/tree-head'],
        [6, issuedAt],
        ['tree_size', head.size ?? 8],
        ...more,
      ]),
    ],
    [395, 1],
  ])

describe('receiptBuilder', () => {
  it('builds what buildReceipt builds, for every entry under one head', () => {
    for (const [size, head] of heads) {
      const build = receiptBuilder(head, size % 3)
      for (let index = 0; index < size; index++) {
        assert.deepEqual(build({ index, proof: tree.inclusion(index, size) }), receiptOf(index, size))
      }
    }
  })
})

describe('verifyReceipt', () => {
  it('accepts every entry of every tree up to 20 leaves, by one signature a tree', async () => {
    for (let size = 1; size <= 20; size++) {
      for (let index = 0; index < size; index++) {
        const receipt = parseReceipt(receiptOf(index, size))
        const verified = await verifyReceipt(receipt, entries[index]!, verification, { origin })
        assert.deepEqual(
          { ...verified },
          { origin, size, root: tree.root(size), issuedAt, kid: verification.kid, entry: entries[index], index },
        )
        assert.deepEqual(receipt.sign1.signature, heads.get(size)!.signature)
      }
    }
  })

  it('says what a receipt claims', () => {
    const { bytes, sign1, inclusion, ...rest } = parseReceipt(receiptOf(2, 8))
    assert.deepEqual(rest, {
      profile: 'provlog',
      kid: verification.kid,
      origin,
      subject: 'provlog/tree-head',
      issuedAt,
      treeSize: 8,
      consistency: [],
    })
    assert.deepEqual(inclusion, [{ size: 8, index: 2, proof: tree.inclusion(2, 8) }])
    assert.equal(sign1.payload, null)
    assert.deepEqual(bytes, receiptOf(2, 8))
  })

  it('works with Ed25519', async () => {
    const keys = await keysOf(ED25519_JWK)
    const head = await signTreeHead({ origin, size: 8, root: tree.root(8), issuedAt }, keys.signing)
    const receipt = parseReceipt(buildReceipt(head, { index: 2, proof: tree.inclusion(2, 8) }))
    await verifyReceipt(receipt, entries[2]!, keys.verification, { origin })
  })

  const path = tree.inclusion(2, 8)
  const honest = receiptOf(2, 8)
  const proof = (size: number, index: number, hashes = path) => withProof(honest, -1, [size, index, hashes])
  const lies: [what: string, code: string, bytes: Uint8Array | Promise<Uint8Array>, entry?: Uint8Array][] = [
    ['another entry', 'bad_signature', honest, entries[3]!],
    ['another index', 'bad_signature', proof(8, 3)],
    // RFC 9942 alone accepts these three: the root is the same, and the size in the proof is not signed.
    ['a claimed size of 7', 'wrong_tree_size', proof(7, 2)],
    ['a claimed size of 6', 'wrong_tree_size', proof(6, 2)],
    ['a claimed size of 5', 'wrong_tree_size', proof(5, 2)],
    ['an index past the end', 'index_out_of_range', proof(8, 8)],
    ['a missing hash', 'proof_wrong_length', proof(8, 2, path.slice(1))],
    ['an extra hash', 'proof_wrong_length', proof(8, 2, [...path, entries[0]!])],
    ['an empty path', 'proof_wrong_length', proof(8, 2, [])],
    ['hashes in reverse', 'bad_signature', proof(8, 2, [...path].reverse())],
    ['a hash with a bit turned', 'bad_signature', proof(8, 2, [flipped(path[0]!, 0), ...path.slice(1)])],
    ['two proofs', 'malformed_receipt', withProof(honest, -1, [8, 2, path], [8, 2, path])],
    ['a consistency proof in place of an inclusion proof', 'malformed_receipt', growthOf(3, 8)],
    ['the head of another size', 'wrong_tree_size', withProof(receiptOf(2, 9), -1, [8, 2, path])],
    ['another root, attached', 'bad_signature', encodeCoseSign1({ ...decodeCoseSign1(honest), payload: tree.root(7) })],
    [
      'a signature with a bit turned',
      'bad_signature',
      encodeCoseSign1({ ...decodeCoseSign1(honest), signature: flipped(decodeCoseSign1(honest).signature, 5) }),
    ],
    ['no claims', 'unbound_receipt', signedReceipt(new Map([[395, 1]]), 2, 8)],
    [
      'no tree size',
      'unbound_receipt',
      signedReceipt(
        new Map<number, CborValue>([
          [
            15,
            new Map<number, CborValue>([
              [1, origin],
              [2, 'provlog/tree-head'],
              [6, 1],
            ]),
          ],
          [395, 1],
        ]),
        2,
        8,
      ),
    ],
    ['the subject of a statement', 'unbound_receipt', signedReceipt(claimsOf({}, [2, 'urn:statement']), 2, 8)],
    ['another log', 'wrong_origin', signedReceipt(claimsOf({ origin: 'other.example' }), 2, 8)],
    ['another signed size', 'wrong_tree_size', signedReceipt(claimsOf({ size: 7 }), 2, 8)],
    ['another log’s key', 'wrong_key', signedReceipt(claimsOf({}), 2, 8, other.signing)],
  ]
  for (const [what, code, bytes, entry = entries[2]!] of lies) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(async () => verifyReceipt(parseReceipt(await bytes), entry, verification, { origin }), {
        code,
      })
    })
  }

  it('accepts the right root, attached', async () => {
    const attached = encodeCoseSign1({ ...decodeCoseSign1(honest), payload: tree.root(8) })
    await verifyReceipt(parseReceipt(attached), entries[2]!, verification, { origin })
  })

  it('refuses a receipt that its own key did not sign, whatever kid it names (bad_signature)', async () => {
    const forged = { ...other.verification, kid: verification.kid }
    await assert.rejects(verifyReceipt(parseReceipt(honest), entries[2]!, forged, { origin }), {
      code: 'bad_signature',
    })
  })
})

describe('verifyGenericReceipt', () => {
  it('accepts what RFC 9942 asks for, and shows why that is too little: four sizes under one signature', async () => {
    const bytes = await signedReceipt(new Map([[395, 1]]), 2, 8)
    for (const size of [5, 6, 7, 8]) {
      const claimed = parseReceipt(withProof(bytes, -1, [size, 2, tree.inclusion(2, 8)]))
      assert.equal(claimed.profile, 'generic')
      const result = await verifyGenericReceipt(claimed, entries[2]!, verification)
      assert.deepEqual(result, { root: tree.root(8), index: 2, size })
    }
  })
})

describe('consistency receipts', () => {
  it('prove every growth up to 20 leaves', async () => {
    for (let size2 = 2; size2 <= 20; size2++) {
      for (let size1 = 1; size1 < size2; size1++) {
        const receipt = parseReceipt(growthOf(size1, size2))
        const from = { size: size1, root: tree.root(size1) }
        const head = await verifyConsistencyReceipt(receipt, from, verification, { origin })
        assert.deepEqual({ ...head }, { origin, size: size2, root: tree.root(size2), issuedAt, kid: verification.kid })
        const generic = await verifyGenericConsistencyReceipt(receipt, from, verification)
        assert.deepEqual(generic, { root: tree.root(size2), size: size2 })
      }
    }
  })

  const from = { size: 3, root: tree.root(3) }
  const path = tree.consistency(3, 8)
  const honest = growthOf(3, 8)
  const lies: [what: string, code: string, bytes: Uint8Array, from: { size: number; root: Uint8Array }][] = [
    ['another earlier tree', 'root_mismatch', honest, { size: 3, root: tree.root(4) }],
    ['another earlier size', 'root_mismatch', honest, { size: 4, root: tree.root(4) }],
    [
      'a history that was rewritten',
      'root_mismatch',
      honest,
      { size: 3, root: treeOf(someEntries(9).reverse()).root(3) },
    ],
    ['a shrinking tree', 'index_out_of_range', withProof(honest, -2, [9, 8, path]), { size: 9, root: tree.root(9) }],
    ['no growth', 'index_out_of_range', withProof(honest, -2, [8, 8, []]), { size: 8, root: tree.root(8) }],
    ['growth from nothing', 'index_out_of_range', withProof(honest, -2, [0, 8, []]), { size: 0, root: tree.root(0) }],
    ['another later size', 'wrong_tree_size', withProof(honest, -2, [3, 7, path]), from],
    ['a missing hash', 'proof_wrong_length', withProof(honest, -2, [3, 8, path.slice(1)]), from],
    ['an extra hash', 'proof_wrong_length', withProof(honest, -2, [3, 8, [...path, path[0]!]]), from],
    [
      'a last hash with a bit turned',
      'bad_signature',
      withProof(honest, -2, [3, 8, [...path.slice(0, -1), flipped(path.at(-1)!, 1)]]),
      from,
    ],
    ['an inclusion proof in its place', 'malformed_receipt', receiptOf(2, 8), from],
    [
      'another attached root',
      'bad_signature',
      encodeCoseSign1({ ...decodeCoseSign1(honest), payload: tree.root(7) }),
      from,
    ],
  ]
  for (const [what, code, bytes, earlier] of lies) {
    it(`refuse ${what} (${code})`, async () => {
      await assert.rejects(
        async () => verifyConsistencyReceipt(parseReceipt(bytes), earlier, verification, { origin }),
        { code },
      )
    })
  }
})

describe('parseReceipt', () => {
  const honest = receiptOf(2, 8)
  const path = tree.inclusion(2, 8)
  const proofs = (vdp: CborValue) => encodeCoseSign1({ ...decodeCoseSign1(honest), unprotected: new Map([[396, vdp]]) })
  const headed = (entries: [number, CborValue][], unprotected = decodeCoseSign1(honest).unprotected) => {
    const protectedHeader = new Map(entries)
    return encodeCoseSign1({
      ...decodeCoseSign1(honest),
      protectedHeader,
      protectedBytes: encodeCbor(protectedHeader),
      unprotected,
    })
  }
  const huge = hex('1b7fffffffffffffff')

  const refused: [what: string, code: string, bytes: Uint8Array][] = [
    ['no vds', 'malformed_receipt', headed([[1, -7]])],
    [
      'a vds in the unprotected header alone',
      'malformed_receipt',
      headed(
        [[1, -7]],
        new Map<number, CborValue>([...(decodeCoseSign1(honest).unprotected as Map<number, CborValue>), [395, 1]]),
      ),
    ],
    [
      'a CCF ledger (vds 2)',
      'unsupported_vds',
      headed([
        [1, -7],
        [395, 2],
      ]),
    ],
    [
      'an MMR (vds 3)',
      'unsupported_vds',
      headed([
        [1, -7],
        [395, 3],
      ]),
    ],
    ['no proofs', 'malformed_receipt', encodeCoseSign1({ ...decodeCoseSign1(honest), unprotected: new Map() })],
    ['proofs that are no map', 'malformed_receipt', proofs([])],
    ['proofs of no kind', 'malformed_receipt', proofs(new Map())],
    ['an empty list of proofs', 'malformed_receipt', proofs(new Map([[-1, []]]))],
    ['a proof that is no byte string', 'malformed_receipt', proofs(new Map([[-1, [[8, 2, path]]]]))],
    ['a proof of two elements', 'malformed_receipt', withProof(honest, -1, [8, 2])],
    ['a negative size', 'malformed_receipt', withProof(honest, -1, [-8, 2, path])],
    // scitt-cose's own review (docs/hardening-review.md H1, H2): an 8 GB allocation, and a loop that does not end.
    ['a tree size of 2⁶³ − 1', 'malformed_receipt', withProof(honest, -1, Uint8Array.of(0x83, ...huge, 2, 0x80))],
    ['an integer where a hash belongs', 'malformed_receipt', withProof(honest, -1, [8, 2, [2 ** 33]])],
    ['a hash of 31 bytes', 'malformed_receipt', withProof(honest, -1, [8, 2, [new Uint8Array(31)]])],
    ['a path of 55 hashes', 'malformed_receipt', withProof(honest, -1, [8, 2, Array(55).fill(path[0])])],
    ['17 proofs', 'too_large', withProof(honest, -1, ...Array<CborValue>(17).fill([8, 2, path]))],
    ['70 000 bytes', 'too_large', withProof(honest, -1, new Uint8Array(70_000))],
    [
      'claims that are no map',
      'malformed_receipt',
      headed([
        [15, 1],
        [395, 1],
      ]),
    ],
    [
      'an issuer that is no text',
      'malformed_receipt',
      headed([
        [15, new Map([[1, 1]])],
        [395, 1],
      ]),
    ],
    ['no tag', 'malformed_cose', honest.slice(1)],
  ]
  for (const [what, code, bytes] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => parseReceipt(bytes), { code }))
  }

  it('accepts iat under tag 1, as CCF writes it', async () => {
    const protectedBytes = hex('a2 0f a1 06 c1 1a 65000000 19 018b 01')
    const { unprotected } = decodeCoseSign1(honest)
    const receipt = parseReceipt(encodeCoseSign1({ ...decodeCoseSign1(honest), protectedBytes, unprotected }))
    assert.equal(receipt.issuedAt, 0x65000000)
  })

  it('ends for proofs at the largest sizes', async () => {
    const size = 2 ** 53 - 1
    const receipt = parseReceipt(withProof(honest, -1, [size, 2 ** 52, Array(53).fill(path[0])]))
    await assert.rejects(verifyGenericReceipt(receipt, entries[2]!, verification), { name: 'EvidenceError' })
  })
})
