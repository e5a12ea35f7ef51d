import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toBase64, utf8 } from '../../merkle/bytes.ts'
import {
  formatCheckpoint,
  type LogIdentity,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../merkle/checkpoint.ts'
import { MerkleError } from '../../merkle/error.ts'
import { EMPTY_ROOT, sha256 } from '../../merkle/hash.ts'
import { createNoteSigner, parseVkey, signNote } from '../../merkle/note.ts'
import { mutations } from './mutations.ts'

const origin = 'log.example/prov'
const root = sha256(utf8('root'))
const signer = createNoteSigner(origin, new Uint8Array(32).fill(1))
const log: LogIdentity = { origin, verifiers: [parseVkey(signer.vkey)] }
const text = `${origin}\n42\n${toBase64(root)}\n`

describe('parseCheckpoint', () => {
  it('reads origin, size, root and extension lines', () => {
    assert.deepEqual(parseCheckpoint(text), { origin, size: 42, root, extensions: [] })
    assert.deepEqual(parseCheckpoint(`${text}more\nand more\n`).extensions, ['more', 'and more'])
    assert.equal(parseCheckpoint(text.replace('42', '0')).size, 0)
    assert.equal(parseCheckpoint(text.replace('42', String(2 ** 53 - 1))).size, 2 ** 53 - 1)
  })

  const refused: [what: string, text: string][] = [
    ['nothing', ''],
    ['two lines', `${origin}\n42\n`],
    ['no line feed at the end', text.slice(0, -1)],
    ['an empty origin', text.slice(origin.length)],
    ['an empty line at the end', `${text}\n`],
    ['an empty extension line', `${text}\nmore\n`],
    ['a leading zero', text.replace('42', '042')],
    ['a sign', text.replace('42', '+42')],
    ['a negative size', text.replace('42', '-1')],
    ['a fraction', text.replace('42', '42.0')],
    ['an exponent', text.replace('42', '4e1')],
    ['hex', text.replace('42', '0x2a')],
    ['a space before the size', text.replace('42', ' 42')],
    ['digits of another script', text.replace('42', '٤٢')],
    ['a size of 2⁵³', text.replace('42', String(2 ** 53))],
    ['a size of 2⁶⁴', text.replace('42', '18446744073709551616')],
    ['a root of 31 bytes', `${origin}\n42\n${toBase64(root.slice(1))}\n`],
    ['a root of 33 bytes', `${origin}\n42\n${toBase64(new Uint8Array(33))}\n`],
    ['a root without padding', text.replace('=', '')],
    ['a root in base64 with stray bits', `${origin}\n42\n${'A'.repeat(42)}B=\n`],
    ['a carriage return', text.replaceAll('\n', '\r\n')],
    ['a NUL in the origin', `\0${text}`],
    ['more than 64 KiB', `${text}${'x'.repeat(0x10000)}\n`],
  ]
  for (const [what, bad] of refused) {
    it(`refuses ${what} (malformed_checkpoint)`, () => {
      assert.throws(() => parseCheckpoint(bad), { name: 'EvidenceError', code: 'malformed_checkpoint' })
    })
  }

  it('refuses anything or reads it to the letter, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), mutations(text)), (candidate) => {
        try {
          assert.equal(formatCheckpoint(parseCheckpoint(candidate)), candidate)
        } catch (error) {
          assert.ok(error instanceof MerkleError && error.code === 'malformed_checkpoint', String(error))
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a checkpoint by several keys', () => {
  const [one, two, stranger] = [1, 2, 3].map((fill) => createNoteSigner(origin, new Uint8Array(32).fill(fill)))
  const known = { origin, verifiers: [parseVkey(one!.vkey), parseVkey(two!.vkey)] }
  const cosigners = Array.from({ length: 40 }, (_, i) =>
    createNoteSigner(`w${i}.example`, sha256(utf8(`witness ${i}`))),
  )
  const head = { origin, size: 42, root }

  it('says which of the known ones signed, among any number of unknown lines, in whatever order', () => {
    for (const [signers, signedBy] of [
      [[one!], [one]],
      [
        [two!, one!],
        [two, one],
      ],
      [
        [stranger!, ...cosigners, one!, two!],
        [one, two],
      ],
      [[two!, ...cosigners, stranger!], [two]],
    ] as const) {
      const opened = openCheckpoint(signCheckpoint(head, signers), known)
      assert.deepEqual(
        opened.signedBy,
        signedBy.map((each) => each!.vkey),
      )
    }
    assert.throws(() => openCheckpoint(signCheckpoint(head, [stranger!, ...cosigners]), known), {
      code: 'unknown_signer',
    })
  })

  it('is refused when one known key’s line is bad, though the other’s is good (bad_signature)', () => {
    const other = signCheckpoint({ ...head, size: 43 }, [two!]).split('\n\n')[1]!
    const note = signCheckpoint(head, [one!, ...cosigners])
    assert.throws(() => openCheckpoint(note + other, known), { code: 'bad_signature' })
    // To whoever does not know that key it is a line like others.
    assert.deepEqual(openCheckpoint(note + other, log).signedBy, [one!.vkey])
  })
})

describe('openCheckpoint', () => {
  const note = signCheckpoint({ origin, size: 42, root }, [signer])

  it('opens what signCheckpoint signs, and keeps the note', () => {
    for (const form of [note, utf8(note)]) {
      const { origin: from, size, root: opened, extensions, note: kept, cosignatures } = openCheckpoint(form, log)
      assert.deepEqual(
        { from, size, opened, extensions, kept, cosignatures },
        {
          from: origin,
          size: 42,
          opened: root,
          extensions: [],
          kept: note,
          cosignatures: [],
        },
      )
    }
  })

  it('takes any of the log’s keys', () => {
    const next = createNoteSigner(origin, new Uint8Array(32).fill(2))
    const both = { origin, verifiers: [...log.verifiers, parseVkey(next.vkey)] }
    assert.equal(openCheckpoint(signCheckpoint({ origin, size: 42, root }, [next]), both).size, 42)
  })

  const sign = (body: string) => signNote(body, [signer])
  const refused: [what: string, code: string, note: string][] = [
    ['a checkpoint of another origin, by the same key', 'wrong_origin', sign(text.replace('prov', 'other'))],
    [
      'a signature by another key',
      'unknown_signer',
      signNote(text, [createNoteSigner('x', new Uint8Array(32).fill(3))]),
    ],
    ['a size changed after signing', 'bad_signature', note.replace('42', '43')],
    ['a root changed after signing', 'bad_signature', note.replace(toBase64(root), toBase64(EMPTY_ROOT))],
    ['an extension line added after signing', 'bad_signature', note.replace('\n\n', '\nmore\n\n')],
    ['a signed note that is no checkpoint', 'malformed_checkpoint', sign('hello\n')],
    ['a signed size with a leading zero', 'malformed_checkpoint', sign(text.replace('42', '042'))],
    ['an empty tree under a root of its own', 'root_mismatch', sign(text.replace('42', '0'))],
    ['a checkpoint without its signature', 'malformed_note', text],
  ]
  for (const [what, code, bad] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => openCheckpoint(bad, log), { name: 'EvidenceError', code })
    })
  }

  it('opens the checkpoint of the empty tree under the empty root', () => {
    assert.equal(openCheckpoint(signCheckpoint({ origin, size: 0, root: EMPTY_ROOT }, [signer]), log).size, 0)
  })
})

describe('signCheckpoint', () => {
  it('refuses to sign what is no checkpoint', () => {
    for (const lie of [{ size: -1 }, { size: 0.5 }, { size: 2 ** 53 }, { root: root.slice(1) }, { origin: '' }]) {
      assert.throws(() => signCheckpoint({ origin, size: 1, root, ...lie }, [signer]), /invariant/)
    }
    for (const bad of ['two\nlines', 'a\tb', '\ud800']) {
      assert.throws(() => signCheckpoint({ origin: bad, size: 1, root }, [signer]), /invariant/)
    }
    assert.throws(() => formatCheckpoint({ origin, size: 1, root, extensions: [''] }), /invariant/)
  })
})
