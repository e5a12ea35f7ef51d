import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { toHex } from '../../merkle/bytes.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/cbor.ts'
import {
  decodeSealed,
  encodeSealed,
  openSection,
  padmeLength,
  type SealContext,
  type SealedSection,
  sealSections,
} from '../../statement/seal.ts'
import { flipped, utf8 } from './fixtures.ts'

/** Different bytes on each call, the same in each run. */
function countingRandom(): (length: number) => Uint8Array {
  let calls = 0
  return (length) => new Uint8Array(length).fill(++calls)
}

const context: SealContext = { issuer: 'spiffe://example.org/issuer', recordId: new Uint8Array(16).fill(7) }
const plaintexts = new Map([
  ['workload', utf8('which workload')],
  ['policy', utf8('why')],
])
const { sealed, keys } = await sealSections(context, plaintexts, countingRandom())
const [workload, policy] = sealed.sections as [SealedSection, SealedSection]

/** K ‖ C as statement/seal.ts describes them, by another implementation of HKDF. */
function derived(
  cek: Uint8Array,
  label: string,
  paddedLength: number,
): { key: Buffer; commit: Buffer; aad: Uint8Array } {
  const aad = encodeCbor([1, context.issuer, context.recordId, label, paddedLength])
  const info = Buffer.concat([Buffer.from('provlog/seal/v1'), aad])
  const bytes = Buffer.from(hkdfSync('sha256', cek, context.recordId, info, 64))
  return { key: bytes.subarray(0, 32), commit: bytes.subarray(32), aad }
}

describe('sealSections and openSection', () => {
  it('give back what was sealed, through the encoding, each section by its own key', async () => {
    const read = decodeSealed(decodeCbor(encodeCbor(encodeSealed(sealed))))
    assert.deepEqual(read, sealed)
    for (const section of read.sections) {
      const opened = await openSection(context, section, keys.get(section.label)!)
      assert.deepEqual(opened, plaintexts.get(section.label))
    }
  })

  it('seal any length, and any bytes, those that look like padding too', async () => {
    const samples = [0, 1, 62, 63, 64, 65, 255, 256, 1000, 70_000].map((length) => new Uint8Array(length))
    samples.push(Uint8Array.of(0x80), Uint8Array.of(0x80, 0), Uint8Array.of(0, 0x80, 0, 0))
    for (const sample of samples) {
      const { sealed, keys } = await sealSections(context, new Map([['x', sample]]), countingRandom())
      const [section] = decodeSealed(encodeSealed(sealed)).sections
      assert.deepEqual(await openSection(context, section!, keys.get('x')!), sample)
    }
  })

  it('are what the description says, computed by node:crypto', () => {
    const { key, commit, aad } = derived(keys.get('policy')!, 'policy', 64)
    assert.equal(toHex(policy.commit), commit.toString('hex'))
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(aad)
    decipher.setAuthTag(policy.ciphertext.subarray(-16))
    const padded = Buffer.concat([decipher.update(policy.ciphertext.subarray(0, -16)), decipher.final()])
    assert.equal(padded.toString('hex'), `776879${'80'.padEnd(122, '0')}`)
  })

  it('show the padded length and nothing else of the length', () => {
    assert.equal(workload.ciphertext.length, policy.ciphertext.length)
  })

  const cek = keys.get('policy')!
  const lies: [what: string, code: string, context: SealContext, section: SealedSection, cek: Uint8Array][] = [
    ['the key of another section', 'wrong_key', context, policy, keys.get('workload')!],
    ['a key with a bit turned', 'wrong_key', context, policy, flipped(cek, 0)],
    ['a key cut short', 'wrong_key', context, policy, cek.slice(1)],
    ['swapped labels', 'wrong_key', context, { ...policy, label: 'workload' }, cek],
    ['another record', 'wrong_key', { ...context, recordId: new Uint8Array(16) }, policy, cek],
    ['another issuer', 'wrong_key', { ...context, issuer: 'spiffe://example.org/other' }, policy, cek],
    ['another commitment', 'wrong_key', context, { ...policy, commit: workload.commit }, cek],
    ['a commitment with a bit turned', 'wrong_key', context, { ...policy, commit: flipped(policy.commit, 31) }, cek],
    ['a ciphertext cut short', 'wrong_key', context, { ...policy, ciphertext: policy.ciphertext.slice(1) }, cek],
    ['an empty ciphertext', 'wrong_key', context, { ...policy, ciphertext: new Uint8Array() }, cek],
    [
      'a ciphertext with a bit turned',
      'decryption_failed',
      context,
      { ...policy, ciphertext: flipped(policy.ciphertext, 5) },
      cek,
    ],
    [
      'a tag with a bit turned',
      'decryption_failed',
      context,
      { ...policy, ciphertext: flipped(policy.ciphertext, 79) },
      cek,
    ],
    [
      'the ciphertext of another section',
      'decryption_failed',
      context,
      { ...policy, ciphertext: workload.ciphertext },
      cek,
    ],
  ]
  for (const [what, code, inContext, section, key] of lies) {
    it(`refuse ${what} (${code})`, () => assert.rejects(openSection(inContext, section, key), { code }))
  }

  /** A section that its issuer sealed with any padding at all. */
  function sealedAs(padded: Buffer): SealedSection {
    const { key, commit, aad } = derived(cek, 'policy', padded.length)
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(aad)
    const ciphertext = Buffer.concat([cipher.update(padded), cipher.final(), cipher.getAuthTag()])
    return { label: 'policy', commit: new Uint8Array(commit), ciphertext: new Uint8Array(ciphertext) }
  }
  const text = Buffer.from('why')
  const paddings: [what: string, padded: Buffer][] = [
    ['no padding', Buffer.alloc(64, 1)],
    ['zeros alone', Buffer.alloc(64)],
    ['another end than 0x80', Buffer.concat([text, Buffer.from([0x81]), Buffer.alloc(60)])],
    ['something after 0x80', Buffer.concat([text, Buffer.from([0x80]), Buffer.alloc(59), Buffer.from([1])])],
    ['a shorter padding than the minimum', Buffer.concat([text, Buffer.from([0x80]), Buffer.alloc(28)])],
    ['a longer padding than there needs to be', Buffer.concat([text, Buffer.from([0x80]), Buffer.alloc(124)])],
  ]
  for (const [what, padded] of paddings) {
    it(`refuse ${what} (malformed_padding)`, async () => {
      await assert.rejects(openSection(context, sealedAs(padded), cek), { code: 'malformed_padding' })
    })
  }

  it('open what is sealed with the right padding by another implementation', async () => {
    const padded = Buffer.concat([text, Buffer.from([0x80]), Buffer.alloc(60)])
    assert.deepEqual(await openSection(context, sealedAs(padded), cek), utf8('why'))
  })

  it('refuse a label of no or too many characters, and random bytes of another length', async () => {
    for (const label of ['', 'x'.repeat(65)]) {
      await assert.rejects(sealSections(context, new Map([[label, utf8('')]]), countingRandom()), {
        code: 'malformed_seal',
      })
    }
    await assert.rejects(
      sealSections(context, plaintexts, () => new Uint8Array(16)),
      RangeError,
    )
  })
})

const ecb = (key: Buffer, block: Buffer): Buffer =>
  createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(block)
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, i) => byte ^ b[i]!))
const chunks = (whole: Buffer): Buffer[] =>
  Array.from({ length: whole.length / 16 }, (_, i) => whole.subarray(16 * i, 16 * i + 16))
const number = (block: Buffer): bigint => BigInt(`0x${block.toString('hex')}`)
const bytes = (block: bigint): Buffer => Buffer.from(block.toString(16).padStart(32, '0'), 'hex')

/** Multiplication in GF(2¹²⁸) as GCM writes it, the first bit being the coefficient of x⁰ (NIST SP 800-38D §6.3). */
function multiply(a: bigint, b: bigint): bigint {
  let product = 0n
  let shifted = b
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((a >> bit) & 1n) product ^= shifted
    shifted = shifted & 1n ? (shifted >> 1n) ^ (0xe1n << 120n) : shifted >> 1n
  }
  return product
}

/** a^(2¹²⁸ − 2). */
function inverse(a: bigint): bigint {
  let result = 1n << 127n
  let power = a
  for (let i = 1; i < 128; i++) {
    power = multiply(power, power)
    result = multiply(result, power)
  }
  return result
}

describe('an invisible salamander: one ciphertext, two keys', () => {
  // An issuer wants to show one auditor one reason and another auditor another. GCM alone lets it.
  const label = 'decision'
  const one = new Uint8Array(32).fill(1)
  const first = derived(one, label, 64)
  const keystream = (key: Buffer, block: number) => {
    const counter = Buffer.alloc(16)
    counter.writeUInt32BE(block + 2, 12)
    return ecb(key, counter)
  }

  // The padding must end in 0x80 under both keys, so both keystreams must end alike: one key in 256 will do.
  let two = new Uint8Array(32).fill(2)
  let second = derived(two, label, 64)
  for (let i = 0; keystream(first.key, 3)[15] !== keystream(second.key, 3)[15]; i++) {
    two = new Uint8Array(32).fill(2)
    new DataView(two.buffer).setUint32(0, i)
    second = derived(two, label, 64)
  }
  const ciphertext = collide(first, second, '48 characters that the first auditor is to read.')

  const decrypted = (key: Buffer, aad: Uint8Array) => {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(aad)
    decipher.setAuthTag(ciphertext.subarray(-16))
    return Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()])
  }

  it('decrypts under both keys, to two texts, in AES-GCM', () => {
    const [a, b] = [decrypted(first.key, first.aad), decrypted(second.key, second.aad)]
    assert.ok(a.includes('first auditor'))
    assert.notDeepEqual(a, b)
    assert.equal(a[63], 0x80)
    assert.equal(b[63], 0x80)
  })

  it('opens here under the key that its commitment names, and no other (wrong_key)', async () => {
    for (const [commit, right, wrong] of [
      [first.commit, one, two],
      [second.commit, two, one],
    ] as const) {
      const section = { label, commit: new Uint8Array(commit), ciphertext: new Uint8Array(ciphertext) }
      assert.equal((await openSection(context, section, right)).length, 63)
      await assert.rejects(openSection(context, section, wrong), { code: 'wrong_key' })
    }
  })

  type Derived = typeof first

  /**
   * The ciphertext of 4 blocks that authenticates under both keys. GHASH is a polynomial in H = E_K(0): with the last three blocks
   * and the lengths given, equal tags are one linear equation for the first block.
   */
  function collide(a: Derived, b: Derived, tail: string): Buffer {
    const padded = Buffer.concat([Buffer.alloc(15), Buffer.from(tail), Buffer.from([0x80])])
    const blocks = [1, 2, 3].map((i) => xor(padded.subarray(16 * i, 16 * i + 16), keystream(a.key, i)))
    const lengths = Buffer.alloc(16)
    lengths.writeUInt32BE(8 * a.aad.length, 4)
    lengths.writeUInt32BE(8 * 64, 12)
    const known = (side: Derived) => {
      const h = number(ecb(side.key, Buffer.alloc(16)))
      const aad = Buffer.concat([side.aad, Buffer.alloc((16 - (side.aad.length % 16)) % 16)])
      const input = [...chunks(aad), Buffer.alloc(16), ...blocks, lengths]
      const hash = input.reduce((state, block) => multiply(state ^ number(block), h), 0n)
      const mask = number(ecb(side.key, Buffer.from(`${'00'.repeat(15)}01`, 'hex')))
      return { hash: hash ^ mask, power: [1, 2, 3, 4].reduce((product) => multiply(product, h), h) }
    }
    const [x, y] = [known(a), known(b)]
    const block = multiply(x.hash ^ y.hash, inverse(x.power ^ y.power))
    const tag = x.hash ^ multiply(block, x.power)
    return Buffer.concat([bytes(block), ...blocks, bytes(tag)])
  }
})

describe('decodeSealed', () => {
  const section = (changed: [string, CborValue][] = [], dropped?: string) => {
    const map = new Map<string, CborValue>([
      ['label', 'x'],
      ['commit', policy.commit],
      ['ct', policy.ciphertext],
      ...changed,
    ])
    if (dropped) map.delete(dropped)
    return map
  }
  const sections = (...list: CborValue[]) =>
    new Map<string, CborValue>([
      ['suite', 1],
      ['sections', list],
    ])
  decodeSealed(sections(section()))

  const refused: [what: string, value: CborValue][] = [
    ['no map', []],
    ['another suite', new Map(sections(section())).set('suite', 2)],
    ['no suite', new Map([['sections', [section()]]])],
    ['another member', new Map(sections(section())).set('nonce', 1)],
    ['no sections', sections()],
    ['17 sections', sections(...Array.from({ length: 17 }, (_, i) => section([['label', `${i}`]])))],
    ['one label twice', sections(section(), section())],
    ['a section without a commitment', sections(section([], 'commit'))],
    ['a commitment of 31 bytes', sections(section([['commit', new Uint8Array(31)]]))],
    ['another member in a section', sections(section([['aad', 1]]))],
    ['an empty label', sections(section([['label', '']]))],
    ['a ciphertext shorter than any', sections(section([['ct', new Uint8Array(79)]]))],
    ['a ciphertext of a length that is not padded', sections(section([['ct', new Uint8Array(16 + 65)]]))],
  ]
  for (const [what, value] of refused) {
    it(`refuses ${what} (malformed_seal)`, () => assert.throws(() => decodeSealed(value), { code: 'malformed_seal' }))
  }
})

describe('padmeLength', () => {
  it('is at least the length, at most 12 % more, its own padding, and rising', () => {
    let before = 0
    for (let n = 0; n <= 20_000; n++) {
      const padded = padmeLength(n)
      assert.ok(padded >= n && padded <= n * 1.12 && padded >= before, `${n}`)
      assert.equal(padmeLength(padded), padded)
      before = padded
    }
  })

  it('gives the values of the paper’s formula', () => {
    const expected = [
      [9, 10],
      [100, 104],
      [1000, 1024],
      [1025, 1088],
      [65_536, 65_536],
      [65_537, 67_584],
      [10 ** 9, 1_006_632_960],
    ]
    for (const [n, padded] of expected) assert.equal(padmeLength(n!), padded)
  })
})
