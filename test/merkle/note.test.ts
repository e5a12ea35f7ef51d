import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, fromHex, utf8 } from '../../merkle/bytes.ts'
import { MerkleError } from '../../merkle/error.ts'
import {
  createNoteSigner,
  formatSignatureLine,
  MAX_NOTE_BYTES,
  openNote,
  parseNote,
  parseVkey,
  signNote,
} from '../../merkle/note.ts'
import { formatVkey, isKeyName, noteKeyId } from '../../merkle/note-key.ts'
import { mutations } from './mutations.ts'

const seedOf = (byte: number) => new Uint8Array(32).fill(byte)
const alice = createNoteSigner('alice.example/log', seedOf(1))
const bob = createNoteSigner('bob.example/log', seedOf(2))
const text = 'The text,\n\nof three lines.\n'
const note = signNote(text, [alice, bob])
const [aliceLine, bobLine] = note.slice(text.length + 1).split('\n')

describe('parseNote', () => {
  it('splits at the last empty line, and leaves the text its line feed', () => {
    const { text: parsed, signatures } = parseNote(note)
    assert.equal(parsed, text)
    assert.deepEqual(
      signatures.map(({ name, keyId }) => [name, keyId]),
      [
        [alice.name, alice.keyId],
        [bob.name, bob.keyId],
      ],
    )
    assert.equal(parseNote(`a\n\n\n${aliceLine}\n`).text, 'a\n\n')
    assert.equal(parseNote(`\n\n${aliceLine}\n`).text, '\n')
  })

  it('takes bytes as it takes text', () => {
    assert.deepEqual(parseNote(utf8(note)), parseNote(note))
  })

  it('takes 16 signatures, as the standard asks, and 100', () => {
    for (const count of [16, 100]) {
      const signers = Array.from({ length: count }, (_, i) => createNoteSigner(`signer-${i}`, seedOf(i)))
      assert.equal(parseNote(signNote(text, signers)).signatures.length, count)
    }
  })

  it('takes signatures as long as a post-quantum one', () => {
    const line = formatSignatureLine({ name: 'pq', keyId: 0xfffffffe, signature: new Uint8Array(5000) })
    const [signature] = parseNote(`${text}\n${line}`).signatures
    assert.equal(signature?.keyId, 0xfffffffe)
    assert.equal(signature?.signature.length, 5000)
  })

  it('takes names and text of any script, and a byte-order mark as a character', () => {
    const signer = createNoteSigner('große.例え', seedOf(3))
    const odd = '﻿ed è subito sera \u007f\u0085\n'
    const opened = openNote(signNote(odd, [signer]), [parseVkey(signer.vkey)])
    assert.equal(opened.text, odd)
    assert.deepEqual(parseNote(utf8(signNote(odd, [signer]))).text, odd)
  })

  const line = aliceLine!
  const refused: [what: string, note: string | Uint8Array][] = [
    ['nothing', ''],
    ['text alone', text],
    ['no empty line', `text\n${line}\n`],
    ['no signature', `${text}\n`],
    ['no line feed at the end', note.slice(0, -1)],
    ['an empty line after the signatures', `${note}\n`],
    ['an empty line between signatures', `${text}\n${line}\n\n`],
    ['a carriage return', note.replace('\n', '\r\n')],
    ['a tab', note.replace('text', 'te\txt')],
    ['a NUL', note.replace('text', 'te\0xt')],
    ['a lone surrogate', note.replace('text', 'te\ud800xt')],
    ['bytes that are not UTF-8', concatBytes(Uint8Array.of(0xff), utf8(note))],
    ['a hyphen instead of the em dash', `${text}\n${line.replace('—', '-')}\n`],
    ['an en dash', `${text}\n${line.replace('—', '–')}\n`],
    ['two spaces', `${text}\n${line.replace(' ', '  ')}\n`],
    ['a space at the end of a line', `${text}\n${line} \n`],
    ['a no-break space in a name', `${text}\n${line.replace('alice', 'al\u00a0ice')}\n`],
    ['an ideographic space in a name', `${text}\n${line.replace('alice', 'al\u3000ice')}\n`],
    ['a plus in a name', `${text}\n${line.replace('alice', 'al+ice')}\n`],
    ['no name', `${text}\n— ${line.split(' ')[2]}\n`],
    ['an empty name', `${text}\n—  ${line.split(' ')[2]}\n`],
    ['no signature in a line', `${text}\n— alice\n`],
    ['base64 without padding', `${text}\n${line.replace(/=+$/, '')}\n`],
    ['base64url', `${text}\n— alice _-__${'A'.repeat(80)}\n`],
    ['base64 with stray bits', `${text}\n— alice AAAAAAB=\n`],
    ['a key id alone', `${text}\n— alice AAAAAA==\n`],
    ['another line among the signatures', `${text}\n${line}\nhello\n`],
    ['101 signatures', `${text}\n${`${line}\n`.repeat(101)}`],
    ['a note past the cap', `${'x'.repeat(MAX_NOTE_BYTES)}\n\n${line}\n`],
  ]
  for (const [what, bad] of refused) {
    it(`refuses ${what} (malformed_note)`, () => {
      assert.throws(() => parseNote(bad), { name: 'EvidenceError', code: 'malformed_note' })
    })
  }

  it('refuses anything or reads it to the letter, whatever the text', () => {
    const anything = fc.oneof(fc.string({ unit: 'binary' }), mutations(note), mutations(`\n${aliceLine}\n`))
    fc.assert(
      fc.property(anything, (candidate) => {
        try {
          const { text: parsed, signatures } = parseNote(candidate)
          assert.equal(`${parsed}\n${signatures.map(formatSignatureLine).join('')}`, candidate)
        } catch (error) {
          assert.ok(error instanceof MerkleError && error.code === 'malformed_note', String(error))
        }
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.throws(() => parseNote(bytes), { name: 'EvidenceError', code: 'malformed_note' })
      }),
    )
  })
})

describe('openNote', () => {
  const known = [parseVkey(alice.vkey), parseVkey(bob.vkey)]

  it('says who signed, in the order of the note', () => {
    const opened = openNote(note, known.toReversed())
    assert.equal(opened.text, text)
    assert.deepEqual(
      opened.verified.map(({ verifier }) => verifier.name),
      [alice.name, bob.name],
    )
  })

  it('ignores lines of unknown keys, broken or not', () => {
    const stranger = formatSignatureLine({ name: 'stranger', keyId: 7, signature: Uint8Array.of(1) })
    const opened = openNote(`${text}\n${stranger}${aliceLine}\n`, known)
    assert.deepEqual(
      opened.verified.map(({ verifier }) => verifier.name),
      [alice.name],
    )
  })

  it('ignores a line of another key under a known name', () => {
    const namesake = createNoteSigner(alice.name, seedOf(9))
    assert.equal(openNote(signNote(text, [namesake, alice]), known).verified.length, 1)
    assert.throws(() => openNote(signNote(text, [namesake]), known), { code: 'unknown_signer' })
  })

  it('refuses a note without a known signer (unknown_signer)', () => {
    assert.throws(() => openNote(note, []), { name: 'EvidenceError', code: 'unknown_signer' })
    assert.throws(() => openNote(signNote(text, [alice]), [known[1]!]), { code: 'unknown_signer' })
  })

  it('refuses the whole note when a known key’s line does not verify, whoever else signed (bad_signature)', () => {
    const broken = { name: bob.name, keyId: bob.keyId, signature: new Uint8Array(64) }
    for (const lines of [
      [`${aliceLine}\n`, formatSignatureLine(broken)],
      [formatSignatureLine(broken), `${aliceLine}\n`],
      [`${bobLine}\n`, formatSignatureLine(broken)],
    ]) {
      assert.throws(() => openNote(`${text}\n${lines.join('')}`, known), {
        name: 'EvidenceError',
        code: 'bad_signature',
      })
    }
  })

  it('refuses signatures of another text, of the same length plus one, and of none (bad_signature)', () => {
    const other = signNote('other\n', [alice]).replace('other', text.slice(0, -1))
    assert.throws(() => openNote(other, known), { code: 'bad_signature' })
    const long = { name: alice.name, keyId: alice.keyId, signature: new Uint8Array(65) }
    assert.throws(() => openNote(`${text}\n${formatSignatureLine(long)}`, known), { code: 'bad_signature' })
  })

  it('takes either of two keys that share a name and an id', () => {
    const colliding = { ...known[1]!, name: alice.name, keyId: alice.keyId }
    assert.equal(openNote(signNote(text, [alice]), [colliding, known[0]!]).verified[0]?.verifier, known[0])
  })
})

describe('signNote', () => {
  it('refuses to sign what is no note text', () => {
    for (const bad of ['', 'no line feed', 'a\tb\n', 'a\r\n', '\ud800\n']) {
      assert.throws(() => signNote(bad, [alice]), /invariant/)
    }
    assert.throws(() => signNote(text, []), /invariant/)
    assert.throws(() => createNoteSigner('a name', seedOf(1)), /invariant/)
  })

  it('opens again, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (content) => {
        const body = `${content.replaceAll(/\p{Cc}/gu, '')}\n`
        assert.equal(openNote(signNote(body, [alice]), [parseVkey(alice.vkey)]).text, body)
      }),
      { numRuns: 30 },
    )
  })
})

describe('parseVkey', () => {
  const key = fromHex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')

  it('reads what formatVkey writes, of both types', () => {
    for (const type of [1, 4]) {
      const { name, keyId, publicKey, type: read } = parseVkey(formatVkey('log.example', type, key))
      assert.deepEqual([name, keyId, publicKey, read], ['log.example', noteKeyId('log.example', type, key), key, type])
    }
  })

  it('takes a plus in the base64', () => {
    const plus = Array.from({ length: 64 }, (_, i) => createNoteSigner('plus', seedOf(i)).vkey)
    const some = plus.find((vkey) => vkey.split('+').length > 3)!
    assert.equal(parseVkey(some).name, 'plus')
  })

  const good = formatVkey('log.example', 1, key)
  const [name, id, ...rest] = good.split('+')
  const base64 = rest.join('+')
  const refused: [what: string, code: string, vkey: string][] = [
    ['nothing', 'malformed_vkey', ''],
    ['no id', 'malformed_vkey', `${name}+${base64}`],
    ['another id', 'malformed_vkey', `${name}+00000000+${base64}`],
    ['another name', 'malformed_vkey', `x${good}`],
    ['an upper-case id', 'malformed_vkey', `${name}+${id!.toUpperCase()}+${base64}`],
    ['a short id', 'malformed_vkey', `${name}+${id!.slice(1)}+${base64}`],
    ['an empty name', 'malformed_vkey', `+${id}+${base64}`],
    ['a space in the name', 'malformed_vkey', `a b+${id}+${base64}`],
    ['no padding', 'malformed_vkey', `${name}+${id}+${base64.slice(0, -1)}`],
    ['a line feed at the end', 'malformed_vkey', `${good}\n`],
    ['a short key', 'malformed_vkey', formatVkey('log.example', 1, key.slice(1))],
    ['a long key', 'malformed_vkey', formatVkey('log.example', 1, concatBytes(key, key))],
    ['no key at all', 'malformed_vkey', `${name}+${id}+`],
    ['an ECDSA key', 'unsupported_key', formatVkey('log.example', 2, key)],
    ['an ML-DSA key', 'unsupported_key', formatVkey('log.example', 6, new Uint8Array(1312))],
    ['a key of small order', 'unsupported_key', formatVkey('log.example', 1, new Uint8Array(32))],
    ['a cosignature key of small order', 'unsupported_key', formatVkey('log.example', 4, new Uint8Array(32))],
  ]
  for (const [what, code, vkey] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => parseVkey(vkey), { name: 'EvidenceError', code })
    })
  }

  it('refuses anything or reads it to the letter, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), mutations(good)), (vkey) => {
        try {
          const { name: read, type, publicKey } = parseVkey(vkey)
          assert.equal(formatVkey(read, type, publicKey), vkey)
        } catch (error) {
          assert.ok(error instanceof MerkleError, String(error))
          assert.ok(['malformed_vkey', 'unsupported_key'].includes(error.code))
        }
      }),
    )
  })

  it('takes key names without white space, plus signs and control characters', () => {
    for (const ok of ['a', 'example.com/log', '例え', 'a~b', '-']) assert.equal(isKeyName(ok), true, ok)
    for (const bad of ['', ' ', 'a b', 'a+b', 'a\n', 'a\u2028b', 'a\u0085b', 'a\u0001b', '\udfff']) {
      assert.equal(isKeyName(bad), false, JSON.stringify(bad))
    }
  })
})
