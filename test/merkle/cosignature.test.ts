import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromUtf8, utf8 } from '../../merkle/bytes.ts'
import { cosignatureMessage, cosignatureTime, createCosigner } from '../../merkle/cosignature.ts'
import { createNoteSigner, openNote, parseVkey, signNote } from '../../merkle/note.ts'

const seed = new Uint8Array(32).fill(5)
const text = 'log.example\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n'
const witnessAt = (time: number) => createCosigner('witness.example/w1', seed, () => time)
const verifier = parseVkey(witnessAt(1).vkey)

describe('cosignatures', () => {
  it('open as signatures of type 4 that carry their time', () => {
    const opened = openNote(signNote(text, [witnessAt(1_679_315_147)]), [verifier])
    assert.equal(verifier.type, 4)
    assert.equal(cosignatureTime(opened.verified[0]!.signature), 1_679_315_147)
  })

  it('sign the time and the whole text of the checkpoint', () => {
    assert.equal(fromUtf8(cosignatureMessage(utf8(text), 1_679_315_147)), `cosignature/v1\ntime 1679315147\n${text}`)
  })

  it('ask for the time at each signature', () => {
    let now = 10
    const witness = createCosigner('w', seed, () => now++)
    const times = [1, 2, 3].map(() => cosignatureTime(witness.sign(utf8(text))))
    assert.deepEqual(times, [10, 11, 12])
  })

  it('do not verify with another time, another text or another length', () => {
    const bytes = utf8(text)
    const signature = witnessAt(1000).sign(bytes)
    assert.equal(verifier.verify(bytes, signature), true)
    assert.equal(verifier.verify(bytes, signature.with(7, signature[7]! ^ 1)), false, 'replayed as fresher')
    assert.equal(verifier.verify(utf8(text.replace('\n1\n', '\n2\n')), signature), false)
    assert.equal(verifier.verify(bytes, signature.slice(8)), false)
    assert.equal(verifier.verify(bytes, new Uint8Array([...signature, 0])), false)
    assert.equal(verifier.verify(bytes, new Uint8Array(0)), false)
  })

  it('are no plain signatures, nor the reverse, under the same key', () => {
    const log = createNoteSigner('witness.example/w1', seed)
    const bytes = utf8(text)
    assert.notEqual(log.keyId, verifier.keyId)
    assert.equal(verifier.verify(bytes, log.sign(bytes)), false)
    assert.equal(parseVkey(log.vkey).verify(bytes, witnessAt(1000).sign(bytes)), false)
  })

  it('have times to 2⁵³ − 1, after 1970', () => {
    const latest = 2 ** 53 - 1
    assert.equal(cosignatureTime(witnessAt(latest).sign(utf8(text))), latest)
    assert.equal(cosignatureTime(new Uint8Array(72).fill(0xff)), undefined)
    assert.equal(cosignatureTime(new Uint8Array(71)), undefined)
    for (const time of [0, -1, 1.5, 2 ** 53, Number.NaN]) {
      assert.throws(() => witnessAt(time).sign(utf8(text)), /invariant/)
    }
  })

  it('read their time out of a view into a larger buffer', () => {
    const buffer = new Uint8Array(100).fill(0xff)
    buffer.set(witnessAt(77).sign(utf8(text)), 5)
    assert.equal(cosignatureTime(buffer.subarray(5, 77)), 77)
  })
})
